//! Rules on packages: arrows between them, shared lints, no suite without a test. It reads what cargo itself says.

use crate::{SOURCES, ending, none};
use afterpath_tests::checkout::root;
use afterpath_tests::tool;
use serde_json::Value;
use std::process::Command;

/// The workspace's own packages.
pub(crate) fn packages() -> Vec<Value> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()).args([
        "metadata",
        "--no-deps",
        "--locked",
        "--format-version",
        "1",
    ]);
    let text = tool::output(&mut command).expect("cargo metadata");
    let mut metadata: Value = serde_json::from_str(&text).expect("cargo's own JSON");
    serde_json::from_value(metadata["packages"].take()).expect("packages")
}

#[test]
fn arrows_point_one_way() {
    let forbidden = [
        ("afterpath-formats", &["afterpath", "afterpath-capture", "afterpath-tests"][..]),
        ("afterpath-capture", &["afterpath", "afterpath-tests"]),
        ("afterpath", &["afterpath-capture", "afterpath-tests"]),
    ];
    let packages = packages();
    for (name, forbidden) in forbidden {
        let package = packages.iter().find(|package| package["name"] == name).expect(name);
        for dependency in package["dependencies"].as_array().expect("a list") {
            let depends_on = dependency["name"].as_str().expect("a name");
            assert!(!forbidden.contains(&depends_on), "{name} depends on {depends_on}");
        }
    }
}

#[test]
fn every_package_has_the_shared_lints_and_fields() {
    // A workspace of its own can inherit nothing: the fuzz target is built with other flags than all else.
    let is_own = |path: &str| ["Cargo.toml", "fuzz/Cargo.toml"].contains(&path);
    let manifests = ending("Cargo.toml").filter(|source| !is_own(&source.path));
    let mut complaints = Vec::new();
    for manifest in manifests {
        for line in
            ["[lints]\nworkspace = true", "license.workspace = true", "version.workspace = true"]
        {
            if !manifest.text.contains(line) {
                complaints.push(format!("{}: no `{}`", manifest.path, line.replace('\n', " ")));
            }
        }
    }
    none(complaints);
}

#[test]
fn no_suite_that_cargo_runs_is_empty() {
    let mut complaints = Vec::new();
    for package in packages() {
        for target in package["targets"].as_array().expect("a list") {
            let name = format!("{} {}", package["name"], target["name"]);
            let path = target["src_path"].as_str().expect("a path");
            let path = std::path::Path::new(path).strip_prefix(root()).expect("in the checkout");
            let path = path.to_string_lossy().replace('\\', "/");
            if target["test"] == true && !has_tests(&path) {
                complaints.push(format!("{name}: {path} has no test: add one, or `test = false`"));
            }
            if target["doctest"] == true && !has_examples(&path) {
                complaints.push(format!("{name}: {path} has no example: `doctest = false`"));
            }
        }
    }
    none(complaints);
}

/// The files that make a target: its own, and those of its folder when that is the target's alone.
fn files(path: &str) -> impl Iterator<Item = &'static str> {
    let folder = path.strip_suffix("main.rs").or(path.strip_suffix("lib.rs")).unwrap_or(path);
    let folder = folder.to_string();
    let of_target = SOURCES.iter().filter(move |source| {
        source.path.starts_with(&folder) && !source.path[folder.len()..].starts_with("bin/")
    });
    of_target.map(|source| source.text.as_str())
}

fn has_tests(path: &str) -> bool {
    files(path).any(|text| text.contains("#[test]") || text.contains("proptest! {"))
}

fn has_examples(path: &str) -> bool {
    files(path).any(|text| text.contains("/// ```\n") || text.contains("//! ```\n"))
}
