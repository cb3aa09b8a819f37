//! The dependencies' licences and sources against `deny.toml`, for machines without cargo-deny.
//! It never knows a licence's text: a package's own expression is believed.

use crate::{file, none};
use afterpath_tests::checkout::root;
use afterpath_tests::tool;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

fn allowed() -> BTreeSet<String> {
    let text = &file("deny.toml").text;
    let list = text.split("allow = [").nth(1).expect("an allow list").split(']').next();
    let items = list.expect("the list's end").split(',').map(|item| item.trim().trim_matches('"'));
    items.filter(|item| !item.is_empty()).map(String::from).collect()
}

fn dependencies() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args(["metadata", "--locked", "--format-version", "1"]);
    let text = tool::output(&mut command).expect("cargo metadata");
    let mut metadata: Value = serde_json::from_str(&text).expect("cargo's own JSON");
    serde_json::from_value(metadata["packages"].take()).expect("packages")
}

/// Whether an SPDX expression holds when only `allowed` may be chosen: `OR` binds looser than `AND`.
fn holds(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (holds, rest) = any(&words, allowed);
    holds && rest.is_empty()
}

fn any<'a, 'w>(words: &'w [&'a str], allowed: &BTreeSet<String>) -> (bool, &'w [&'a str]) {
    let (mut holds, mut rest) = all(words, allowed);
    while let ["OR", more @ ..] = rest {
        let (one, after) = all(more, allowed);
        (holds, rest) = (holds || one, after);
    }
    (holds, rest)
}

fn all<'a, 'w>(words: &'w [&'a str], allowed: &BTreeSet<String>) -> (bool, &'w [&'a str]) {
    let (mut holds, mut rest) = one(words, allowed);
    while let ["AND", more @ ..] = rest {
        let (one, after) = one(more, allowed);
        (holds, rest) = (holds && one, after);
    }
    (holds, rest)
}

fn one<'a, 'w>(words: &'w [&'a str], allowed: &BTreeSet<String>) -> (bool, &'w [&'a str]) {
    match words {
        ["(", rest @ ..] => match any(rest, allowed) {
            (holds, [")", rest @ ..]) => (holds, rest),
            _ => (false, words),
        },
        [name, "WITH", exception, rest @ ..] => {
            (allowed.contains(&format!("{name} WITH {exception}")), rest)
        }
        [name, rest @ ..] => (allowed.contains(*name), rest),
        [] => (false, words),
    }
}

#[test]
fn every_dependency_may_be_used() {
    let allowed = allowed();
    let complaint = |package: &Value| {
        let name = format!("{} {}", package["name"], package["version"]);
        let expression = package["license"].as_str().unwrap_or("no licence");
        (!holds(expression, &allowed)).then(|| format!("{name}: {expression}"))
    };
    none(dependencies().iter().filter_map(complaint).collect());
}

#[test]
fn no_licence_is_allowed_in_vain() {
    let (allowed, dependencies) = (allowed(), dependencies());
    let needed = |licence: &String| {
        let without: BTreeSet<_> = allowed.iter().filter(|a| *a != licence).cloned().collect();
        let expressions = dependencies.iter().filter_map(|package| package["license"].as_str());
        expressions.into_iter().any(|expression| !holds(expression, &without))
    };
    none(allowed.iter().filter(|a| !needed(a)).map(|a| format!("{a}: nothing needs it")).collect());
}

#[test]
fn every_dependency_comes_from_the_default_registry() {
    let complaint = |package: &Value| {
        let source = package["source"].as_str().unwrap_or("path");
        let known = source == "path" || source.ends_with("/rust-lang/crates.io-index");
        (!known).then(|| format!("{}: {source}", package["name"]))
    };
    none(dependencies().iter().filter_map(complaint).collect());
}

#[test]
fn expressions_are_understood() {
    let allowed: BTreeSet<String> = ["MIT", "Unicode-3.0"].map(String::from).into();
    let check = |expression: &str, expected| {
        assert_eq!(holds(expression, &allowed), expected, "{expression}");
    };
    check("MIT", true);
    check("Apache-2.0", false);
    check("MIT/Apache-2.0", true);
    check("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true);
    check("(MIT OR Apache-2.0) AND Unicode-3.0", true);
    check("MIT AND Apache-2.0", false);
    check("GPL-3.0 OR MIT AND Apache-2.0", false);
    check("(MIT", false);
    check("MIT Apache-2.0", false);
    check("", false);
}
