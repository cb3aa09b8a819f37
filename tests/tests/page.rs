//! The page in a real browser (`programs/page.py` says what is done with it): of the demo's recording, of one whose names would be HTML
//! and scripts, of one with nothing in it. And it is what its sources give: built again, compared byte by byte.

use afterpath_tests::checkout::root;
use afterpath_tests::tool::{output, own, usable};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/page.py");
/// Debian's, which knows its own selenium.
const PYTHON: &str = "/usr/bin/python3";

fn can_browse() -> bool {
    let what = "the page in a browser";
    ["chromium", "chromedriver"].iter().all(|name| usable(name, what))
}

/// Afterpath's answer.
fn afterpath(arguments: &[&str], paths: &[&Path]) -> String {
    output(Command::new(own("afterpath")).args(arguments).args(paths)).expect("it works")
}

/// What a person saw of the page of this bundle.
fn seen(folder: &Path, bundle: &Path, wanted: &[&str]) -> Value {
    let page = folder.join("report.html");
    afterpath(&["report", "--force", "-o"], &[&page, bundle]);
    let mut driver = Command::new(PYTHON);
    let driven = driver.arg(DRIVER).args([&page, folder]).args(wanted).output().expect("python3");
    let said = String::from_utf8_lossy(&driven.stderr);
    let seen: Value = serde_json::from_slice(&driven.stdout).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!(seen["complaints"], json!([]), "{seen:#}");
    assert!(driven.status.success(), "{said}");
    seen
}

/// The demo's recording, in a folder of its own: results are stored beside it.
fn demo(folder: &Path) -> std::path::PathBuf {
    let bundle = folder.join("demo.afterpath.tar");
    std::fs::copy(root().join("analyze/assets/demo.afterpath.tar"), &bundle).expect("copied");
    bundle
}

#[test]
fn a_page_is_used_as_a_person_would() {
    if !can_browse() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = demo(folder.path());
    let seen = seen(folder.path(), &bundle, &[]);
    let findings = afterpath(&["findings", "--json"], &[&bundle]);
    let verdict = findings.lines().next().expect("a verdict");
    let verdict: Value = serde_json::from_str(verdict).expect("JSON");
    assert_eq!(seen["answer"]["culprit"], verdict["culprit"], "the same verdict as in a terminal");
    assert_eq!(seen["filters"]["all"], verdict["n_traces"]);
    let answer = seen["answer"]["answer"].as_str().expect("text");
    assert!(answer.contains("Slowest part: ") && answer.contains("blamed on"), "{answer}");
    assert!(seen["answer"]["hops"].as_u64() >= Some(5), "{seen:#}");
    assert!(seen["filters"]["over_100_ms"].as_u64() < seen["filters"]["all"].as_u64(), "{seen:#}");
}

/// Names that are HTML, scripts, or turn the direction of what follows; as a tracer's spans bring them.
const HOSTILE: [&str; 4] = [
    "</script><script>window.owned=1</script>",
    "\"><img src=x onerror=window.owned=1>",
    "javascript:window.owned=1",
    "\u{202e}gnp.exe\u{0}\u{1b}[31m{{constructor}}<!--",
];

fn hostile_spans() -> Value {
    let span = |number: usize, parent: usize| {
        let references = match parent {
            0 => json!([]),
            parent => {
                json!([{"refType": "CHILD_OF", "traceID": "abcd", "spanID": format!("{parent:x}")}])
            }
        };
        let kind = if number % 2 == 1 { "client" } else { "server" };
        json!({
            "traceID": "abcd", "spanID": format!("{number:x}"), "operationName": HOSTILE[number % 4],
            "references": references, "startTime": 1_700_000_000_000_000_u64 + 100 * number as u64,
            "duration": 10_000 - 1_000 * number, "processID": format!("p{}", number / 2 % 4),
            "tags": [{"key": "span.kind", "value": kind}, {"key": "http.url", "value": HOSTILE[(number + 1) % 4]}],
        })
    };
    let processes: serde_json::Map<String, Value> =
        (0..4).map(|n| (format!("p{n}"), json!({"serviceName": HOSTILE[n]}))).collect();
    let spans: Vec<Value> = (1..8).map(|number| span(number, number - 1)).collect();
    json!({"data": [{"traceID": "abcd", "spans": spans, "processes": processes}]})
}

#[test]
fn hostile_names_are_text() {
    if !can_browse() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (spans, bundle) = (folder.path().join("spans.json"), folder.path().join("x.afterpath"));
    std::fs::write(&spans, hostile_spans().to_string()).expect("written");
    afterpath(&["import", "--format", "jaeger", "-o"], &[&bundle, &spans]);
    let seen = seen(folder.path(), &bundle, &[]);
    assert_eq!(seen["filters"]["all"], 1, "{seen:#}");
    let html = std::fs::read_to_string(folder.path().join("report.html")).expect("the page");
    assert!(!html.contains("window.owned"), "a name stands in the page as it is");
}

#[test]
fn a_recording_of_nothing_is_a_page_too() {
    if !can_browse() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (capture, bundle) = (folder.path().join("no.pcap"), folder.path().join("x.afterpath"));
    let header = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    std::fs::write(&capture, header).expect("written");
    afterpath(&["import", "-o"], &[&bundle, &capture]);
    seen(folder.path(), &bundle, &["views"]);
}

#[test]
fn the_committed_page_is_what_its_sources_give() {
    let what = "building the page again";
    if !usable("npm", what) || !usable("node", what) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new(root().join("analyze/build-page")).arg(folder.path()).status();
    assert!(status.expect("the script starts").success());
    for name in ["page.html", "third-party/libraries.js", "third-party/LICENCES.txt"] {
        let built = std::fs::read(folder.path().join(name)).expect("built");
        let committed = std::fs::read(root().join("analyze/assets").join(name)).unwrap_or_default();
        assert!(
            built == committed,
            "analyze/assets/{name} is not what its sources give: run analyze/build-page"
        );
    }
}
