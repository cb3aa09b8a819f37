//! Rules on source files. It never parses Rust: each rule is about something that a line shows.

use crate::{SOURCES, ending, file, lines, none};
use afterpath_tests::checkout::Source;

/// Lines of production code that need no excuse.
const LONG: usize = 400;

#[test]
fn every_source_file_says_what_it_is() {
    let opens = |source: &&Source| {
        let first = source.text.lines().next().unwrap_or_default();
        match source.path.rsplit('.').next() {
            Some("rs") => first.starts_with("//!"),
            Some("py") => source.text.is_empty() || first.starts_with(['#', '"']),
            Some("sh" | "toml") => true,
            _ => true,
        }
    };
    let silent = SOURCES.iter().filter(|source| !opens(source));
    none(silent.map(|source| format!("{}: does not open with what it is", source.path)).collect());
}

/// Lines before the first `#[cfg(test)]`.
fn production_lines(source: &Source) -> usize {
    source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count()
}

#[test]
fn long_files_say_why() {
    let excused = |source: &Source| {
        source.text.lines().take(12).any(|line| line.starts_with("//!") && line.contains("Long:"))
    };
    let long = ending(".rs").filter(|source| production_lines(source) > LONG && !excused(source));
    let complaint = |source: &Source| {
        let n = production_lines(source);
        format!("{}: {n} lines of production code and no `//! Long: …` that says why", source.path)
    };
    none(long.map(complaint).collect());
}

#[test]
fn a_file_is_named_after_its_subject() {
    let names = ["common", "util", "utils", "core", "helper", "helpers", "misc"];
    let vague = SOURCES
        .iter()
        .filter(|source| source.path.split(['/', '.']).any(|part| names.contains(&part)));
    none(vague.map(|source| format!("{}: named after nothing", source.path)).collect());
}

#[test]
fn threads_start_in_few_places_only() {
    let allowed = |path: &str| {
        // Batches are encoded in parallel by the writer, captures read ahead by the import, segments compacted beside the
        // recorder; the recorder writes beside its draining, waits for the kernel's detaching, and works in other namespaces.
        path == "analyze/src/pipeline.rs"
            || path.starts_with("analyze/src/bin/")
            || path.starts_with("formats/src/import/")
            || path.starts_with("formats/src/bundle/")
            || path.starts_with("formats/src/recording/")
            || path.starts_with("capture/src/run/")
            || ["detach.rs", "namespace.rs", "privileges.rs"]
                .iter()
                .any(|f| path == format!("capture/src/kernel/{f}"))
    };
    let sources = ending(".rs").filter(|source| {
        let library = ["analyze/src/", "formats/src/", "capture/src/"];
        library.iter().any(|folder| source.path.starts_with(folder)) && !allowed(&source.path)
    });
    let starts = ["rayon", "std::thread", "thread::spawn", "thread::scope", ".par_iter"];
    none(lines(sources, "threads do not start here", |line| {
        let is_start = !line.trim_start().starts_with("//") && !line.contains("thread::sleep");
        is_start && starts.iter().any(|start| line.contains(start))
    }));
}

#[test]
fn unsafe_code_is_in_the_memory_map_and_at_the_kernels_edge_only() {
    let is_allowed =
        |path: &str| path == "formats/src/bundle/map.rs" || path.starts_with("capture/src/kernel/");
    let sources = ending(".rs").filter(|source| !is_allowed(&source.path));
    // Spelled so that this file does not complain of itself.
    let word = concat!("uns", "afe ");
    let allow = concat!("allow(uns", "afe_code");
    none(lines(sources, "outside of the memory map and the kernel's edge", |line| {
        let code = line.split("//").next().unwrap_or_default();
        code.contains(&format!("{word}{{"))
            || code.contains(&format!("{word}fn"))
            || code.contains(allow)
    }));
}

#[test]
fn every_exception_has_a_reason() {
    let mut complaints = Vec::new();
    for source in ending(".rs") {
        for start in ["[allow(", "[expect("] {
            for (at, _) in source.text.match_indices(&format!("#{start}")) {
                complaints.extend(reasonless(source, at));
            }
            for (at, _) in source.text.match_indices(&format!("#!{start}")) {
                complaints.extend(reasonless(source, at));
            }
        }
    }
    none(complaints);
}

/// A complaint unless the attribute that begins at `at` has a reason.
fn reasonless(source: &Source, at: usize) -> Option<String> {
    let attribute = source.text[at..].split(")]").next().unwrap_or_default();
    let number = source.text[..at].lines().count() + 1;
    (!attribute.contains("reason = \""))
        .then(|| format!("{}:{number}: {attribute})] gives no reason", source.path))
}

#[test]
fn nothing_is_left_for_later_or_passed_over() {
    let words = [concat!("to", "do!("), concat!("unimple", "mented!("), concat!("#[ig", "nore")];
    none(lines(ending(".rs"), "unfinished", |line| words.iter().any(|word| line.contains(word))));
}

#[test]
fn every_protocol_is_registered() {
    let table = &file("analyze/src/protocol/mod.rs").text;
    let table = table.split("pub const PROTOCOLS").nth(1).expect("the table");
    let table = table.split("];").next().unwrap_or_default();
    let folder = "analyze/src/protocol/";
    let mut protocols = Vec::new();
    for source in ending(".rs").filter(|source| source.path.starts_with(folder)) {
        let name = source.path[folder.len()..].split(['/', '.']).next().unwrap_or_default();
        let implements = |line: &str| line.starts_with("impl Protocol for ");
        if !["mod", "laws"].contains(&name) && source.text.lines().any(implements) {
            protocols.push(name);
        }
    }
    let missing = protocols.iter().filter(|name| !table.contains(&format!("&{name}::")));
    none(missing.map(|name| format!("{folder}{name} is not in PROTOCOLS")).collect());
    assert_eq!(protocols.len(), afterpath::protocol::PROTOCOLS.len());
}
