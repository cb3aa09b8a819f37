//! The house rules that a compiler doesn't know, as tests over the checkout's own files: source style, who depends on whom,
//! documents, samples, licences. It never looks at behaviour, and every failure names the file and the line.

mod circles;
mod crates;
mod documents;
mod licences;
mod rust;

use afterpath_tests::checkout::{Source, sources};
use std::sync::LazyLock;

/// The checkout's files, read once.
static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(sources);

/// Files whose name ends so.
fn ending(end: &'static str) -> impl Iterator<Item = &'static Source> {
    let found = SOURCES.iter().filter(move |source| source.path.ends_with(end));
    let mut found = found.peekable();
    assert!(found.peek().is_some(), "no {end} file: the suite would be empty");
    found
}

/// The file at this path, from the root.
fn file(path: &str) -> &'static Source {
    SOURCES.iter().find(|source| source.path == path).unwrap_or_else(|| panic!("no {path}"))
}

/// Fails with all complaints at once.
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// `path:line: what` for each line of each file that `is_bad`.
fn lines<'a>(
    sources: impl Iterator<Item = &'a Source>,
    what: &str,
    is_bad: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        for (number, line) in (1..).zip(source.text.lines()) {
            if is_bad(line) {
                complaints.push(format!("{}:{number}: {what}: {}", source.path, line.trim()));
            }
        }
    }
    complaints
}
