//! No circle between the modules of a package: whoever reads one reads what it uses, and never comes back. It looks at what production
//! code names (`crate::…`); tests may name whatever they test with.

use crate::{SOURCES, none};
use afterpath_tests::checkout::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The bundle as files, what a recording leaves in it and what an import writes into it know one another: an unsealed bundle is opened
/// with the segments that it still holds, and a capture is told from a bundle.
const KNOT: [&str; 3] = ["bundle", "import", "recording"];

/// Which module uses which, and the file that shows it.
type Uses<'a> = BTreeMap<&'a str, BTreeMap<String, &'a str>>;

#[test]
fn modules_go_round_in_no_circle() {
    let mut complaints = Vec::new();
    for package in ["formats", "capture", "analyze", "tests"] {
        let uses = uses(package);
        assert!(uses.len() > 3, "{package}: its modules are not seen");
        for (module, used) in &uses {
            let circles = used.iter().filter(|(other, _)| reaches(&uses, other, module));
            let is_known = |other: &str| {
                package == "formats" && KNOT.contains(module) && KNOT.contains(&other)
            };
            complaints.extend(circles.filter(|(other, _)| !is_known(other)).map(
                |(other, path)| {
                    format!("{path}: `{module}` uses `{other}`, which comes back to it")
                },
            ));
        }
    }
    none(complaints);
}

fn uses(package: &str) -> Uses<'static> {
    let root = format!("{package}/src/");
    let module = |source: &'static Source| {
        let path = source.path.strip_prefix(&root)?.strip_suffix(".rs")?;
        let module = path.split('/').next()?;
        (!["bin", "lib", "main"].contains(&module)).then_some((module, source))
    };
    let test_only = test_only();
    let is_production = |source: &&Source| {
        !test_only.iter().any(|begin| {
            let rest = source.path.strip_prefix(begin);
            rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        })
    };
    let mut uses: Uses<'static> = BTreeMap::new();
    for (module, source) in SOURCES.iter().filter(is_production).filter_map(module) {
        let used = uses.entry(module).or_default();
        for name in named(&production(source)).into_iter().filter(|name| name != module) {
            used.entry(name).or_insert(&source.path);
        }
    }
    let modules: BTreeSet<&str> = uses.keys().copied().collect();
    uses.values_mut().for_each(|used| used.retain(|name, _| modules.contains(name.as_str())));
    uses
}

/// Paths, without their ends, of modules that only tests are built with.
fn test_only() -> Vec<String> {
    let mut found = Vec::new();
    for source in SOURCES.iter().filter(|source| source.path.ends_with(".rs")) {
        let (folder, file) = source.path.rsplit_once('/').unwrap_or_default();
        let folder = match file {
            "mod.rs" | "lib.rs" | "main.rs" => folder.to_string(),
            _ => source.path.trim_end_matches(".rs").to_string(),
        };
        let all: Vec<&str> = source.text.lines().map(str::trim).collect();
        for pair in all.windows(2).filter(|pair| pair[0] == "#[cfg(test)]") {
            let name = pair[1].strip_suffix(';').and_then(|line| line.rsplit_once("mod "));
            found.extend(name.map(|(_, name)| format!("{folder}/{name}")));
        }
    }
    found
}

/// The code without comments, up to its own tests.
fn production(source: &Source) -> String {
    let all: Vec<&str> = source.text.lines().collect();
    let is_end = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with('{');
    let end = all.windows(2).position(is_end).unwrap_or(all.len());
    let code = all[..end].iter().map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// The first names behind each `crate::`.
fn named(code: &str) -> BTreeSet<String> {
    let first = |path: &str| {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        path.trim_start().chars().take_while(|c| is_letter(*c)).collect::<String>()
    };
    let mut names = BTreeSet::new();
    for (at, before) in code.match_indices("crate::") {
        let rest = &code[at + before.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(first(rest));
            continue;
        };
        let mut depth = 1;
        let mut begins = true;
        for (at, c) in list.char_indices() {
            if begins {
                names.insert(first(&list[at..]));
            }
            begins = depth == 1 && c == ',';
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn reaches(uses: &Uses<'_>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        let used = uses.get(module).into_iter().flat_map(|used| used.keys());
        next.extend(used.map(String::as_str).filter(|name| seen.insert(name)));
    }
    false
}

#[test]
fn names_behind_crate_are_seen() {
    let check = |code: &str, expected: &[&str]| {
        let expected: Vec<String> = expected.iter().map(|name| name.to_string()).collect();
        assert_eq!(named(code).into_iter().collect::<Vec<_>>(), expected);
    };
    check("use crate::call::Call;\nlet x = crate::hops::y();", &["call", "hops"]);
    check("use crate::{align, call::{Call, Flow}, hops};", &["align", "call", "hops"]);
}
