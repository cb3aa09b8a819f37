//! Rules on documents, samples, and on text of any kind. It never judges prose.

use crate::{SOURCES, ending, file, lines, none};
use afterpath_tests::checkout::{Source, root};
use std::path::Path;

/// Lines that a reader sees without scrolling.
const SCREEN: usize = 40;
const MIB: u64 = 1 << 20;

#[test]
fn the_readme_begins_with_the_two_commands() {
    let readme = file("README.md");
    let mut commands = Vec::new();
    let mut language = None;
    for line in readme.text.lines().take(SCREEN) {
        match (line.strip_prefix("```"), language) {
            (Some(named), None) => language = Some(named),
            (Some(_), Some(_)) => language = None,
            (None, Some("sh")) => commands.push(line.split('#').next().unwrap_or_default().trim()),
            (None, _) => {}
        }
    }
    assert_eq!(commands, ["cargo run --release -- demo", "tests/run"]);
}

#[test]
fn continuous_integration_runs_the_second_command_and_nothing_else() {
    let text = &file(".ci/run").text;
    let commands: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter(|line| !["set ", "cd ", "export "].iter().any(|word| line.starts_with(word)))
        .collect();
    assert_eq!(commands, ["exec tests/run \"$@\""]);
}

#[test]
fn the_architecture_is_short_and_names_its_invariants() {
    let text = &file("ARCHITECTURE.md").text;
    let n_invariants = text.matches("**Invariant:**").count();
    assert!(text.lines().count() <= 200 && n_invariants >= 8, "{n_invariants} invariants");
}

#[test]
fn documents_mention_no_missing_file() {
    let mut complaints = Vec::new();
    for document in ending(".md").filter(|source| source.path != "CHANGELOG.md") {
        let links = document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let quoted = document.text.split('`').skip(1).step_by(2).filter(|text| is_path(text));
        for path in links.chain(quoted) {
            let path = path.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !exists(document, path) {
                complaints.push(format!("{}: mentions {path}", document.path));
            }
        }
    }
    none(complaints);
}

/// Quoted text that can only be a file of ours.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let ends = [".rs", ".md", ".toml", ".py"];
    text.contains('/')
        && !text.starts_with(['.', '/'])
        && text.chars().all(plain)
        && (ends.iter().any(|end| text.ends_with(end)) || text.ends_with('/'))
}

/// From the document's folder, from its package's `src`, or from the root.
fn exists(document: &Source, path: &str) -> bool {
    let document = root().join(&document.path);
    let folder = document.parent().unwrap_or(Path::new("."));
    [folder.join(path), folder.join("src").join(path), root().join(path)]
        .iter()
        .any(|path| path.exists())
}

#[test]
fn nothing_carries_a_path_of_a_machine() {
    let checkout = root().to_string_lossy().into_owned();
    // Spelled so that this file does not complain of itself.
    let homes = [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let complaints = lines(SOURCES.iter(), "a path of one machine", |line| {
        homes.iter().any(|home| line.contains(home))
            || (checkout.matches('/').count() > 1 && line.contains(&format!("{checkout}/")))
    });
    none(complaints);
}

#[test]
fn nothing_names_a_registry_host() {
    let hosts = [
        concat!("index.crates", ".io"),
        concat!("static.crates", ".io"),
        concat!("pypi", ".org"),
        concat!("files.python", "hosted.org"),
        concat!("deb.deb", "ian.org"),
        concat!("registry.np", "mjs.org"),
        concat!("proxy.go", "lang.org"),
        concat!("docker", ".io"),
    ];
    let sources = SOURCES.iter().filter(|source| !source.path.ends_with(".lock"));
    none(lines(sources, "a registry's host", |line| hosts.iter().any(|host| line.contains(host))));
}

#[test]
fn samples_are_small() {
    let samples: Vec<_> =
        SOURCES.iter().filter(|source| source.path.starts_with("samples/")).collect();
    let complaint = |source: &&Source| {
        (source.size_bytes > 2 * MIB).then(|| format!("{}: {}", source.path, source.size_bytes))
    };
    none(samples.iter().filter_map(complaint).collect());
    let all_bytes: u64 = samples.iter().map(|source| source.size_bytes).sum();
    assert!(all_bytes <= 20 * MIB, "samples/ holds {all_bytes} bytes");
    let demo = SOURCES.iter().find(|source| source.path.starts_with("analyze/assets/demo."));
    assert!(demo.is_none_or(|demo| demo.size_bytes <= 2 * MIB), "the demo is too large");
}
