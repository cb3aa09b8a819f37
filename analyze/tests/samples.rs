//! The real binary over every recorded sample: each command that a sample's README shows must print, to the byte, what stands
//! beside it, at any thread count. `AFTERPATH_BLESS=1` writes these files anew. Never judges whether they are right:
//! `tests/tests/samples/` holds the same bundles against their truth.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "outputs are files")]

use afterpath::report::REPORTS;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BLESS: &str = "AFTERPATH_BLESS";
const BUNDLE: &str = "bundle.afterpath.tar";
/// Lines of a difference that are shown of each side.
const SHOWN_LINES: usize = 20;

/// The samples' folders, in the order of their names.
fn samples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples");
    let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    found.sort();
    assert!(!found.is_empty(), "{} holds no sample", folder.display());
    found
}

/// A line `afterpath ARGUMENTS > FILE` or `afterpath ARGUMENTS | b3sum > FILE` of a README.
struct Shown {
    arguments: Vec<String>,
    is_hashed: bool,
    file: String,
}

fn shown(sample: &Path) -> Vec<Shown> {
    let readme = fs::read_to_string(sample.join("README.md")).unwrap();
    let lines =
        readme.lines().filter_map(|line| line.strip_prefix("afterpath ")?.rsplit_once(" > "));
    let shown = |(command, file): (&str, &str)| {
        let hashed = command.strip_suffix(" | b3sum");
        Shown {
            arguments: words(hashed.unwrap_or(command)),
            is_hashed: hashed.is_some(),
            file: file.to_owned(),
        }
    };
    lines.map(shown).collect()
}

/// As a shell splits them, with nothing but single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in command.split('\'').enumerate() {
        match i % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_report_is_shown_of_every_sample() {
    for sample in samples() {
        let files: Vec<String> = shown(&sample).into_iter().map(|shown| shown.file).collect();
        for report in REPORTS {
            let wanted = ["txt", "jsonl"].map(|ending| format!("{}.{ending}", report.name));
            let is_shown = wanted.iter().any(|file| files.contains(file));
            assert!(is_shown, "{}/README.md: no command > {}", sample.display(), wanted[0]);
        }
    }
}

#[test]
fn every_command_prints_what_stands_beside_it_at_any_thread_count() {
    let mut complaints: Vec<String> = Vec::new();
    for sample in samples() {
        for threads in [1, 2, 8] {
            // The first command analyzes, the others read its results: a place of its own for each.
            let place = tempfile::tempdir().unwrap();
            fs::copy(sample.join(BUNDLE), place.path().join(BUNDLE)).unwrap();
            let may_write = threads == 1 && std::env::var_os(BLESS).is_some();
            for shown in shown(&sample) {
                let printed = printed(place.path(), &shown, threads);
                let found = compare(&sample.join(&shown.file), &printed, may_write);
                let is_new = |found: &String| !complaints.iter().any(|c| c.ends_with(found));
                if let Some(found) = found.filter(is_new) {
                    complaints.push(format!("with --threads {threads}, {found}"));
                }
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "\n{}\n{BLESS}=1 writes what is printed now; read the difference before it is committed\n",
        complaints.join("\n")
    );
}

fn printed(place: &Path, shown: &Shown, threads: usize) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_afterpath"))
        .args(&shown.arguments)
        .args(["--threads", &threads.to_string()])
        .current_dir(place)
        .env("NO_COLOR", "1")
        .env("XDG_CACHE_HOME", place.join("cache"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{:?}: {said}", shown.arguments);
    match shown.is_hashed {
        true => format!("{}  -\n", blake3::hash(&output.stdout).to_hex()),
        false => String::from_utf8(output.stdout).unwrap(),
    }
}

/// What differs, or nothing: also when the file was to be written.
fn compare(file: &Path, printed: &str, may_write: bool) -> Option<String> {
    let wanted = fs::read_to_string(file).unwrap_or_default();
    if wanted == printed {
        return None;
    }
    if may_write {
        fs::write(file, printed).unwrap();
        return None;
    }
    Some(format!("{} differs:\n{}", file.display(), difference(&wanted, printed)))
}

/// The lines between the common beginning and the common end.
fn difference(wanted: &str, printed: &str) -> String {
    let [wanted, printed] = [wanted, printed].map(|text| text.lines().collect::<Vec<_>>());
    let same = wanted.iter().zip(&printed).take_while(|(a, b)| a == b).count();
    let [wanted, printed] = [&wanted[same..], &printed[same..]];
    let tail = wanted.iter().rev().zip(printed.iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = format!("  from line {} on:\n", same + 1);
    for (sign, lines) in [('-', wanted), ('+', printed)] {
        let lines = &lines[..lines.len() - tail];
        lines
            .iter()
            .take(SHOWN_LINES)
            .for_each(|line| text.push_str(&format!("  {sign} {line}\n")));
        if let Some(more) = lines.len().checked_sub(SHOWN_LINES).filter(|more| *more > 0) {
            text.push_str(&format!("  {sign} … {more} lines more\n"));
        }
    }
    text
}

#[test]
fn a_difference_shows_the_lines_between_what_is_equal() {
    let text = difference("a\nb\nc\nd\n", "a\nx\nd\n");
    assert_eq!(text, "  from line 2 on:\n  - b\n  - c\n  + x\n");
    assert_eq!(
        words("traces --where 'duration > 5ms' b"),
        ["traces", "--where", "duration > 5ms", "b"]
    );
}
