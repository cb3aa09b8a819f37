//! What may be overwritten and what never: outputs of every kind, against everything that may stand in their place.

use crate::Place;
use std::fs;
use std::path::Path;

const REFUSED: &str = "error[output-exists]";

/// Every file below a folder with its bytes.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(snapshot(&path)),
            false => files.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
    files.sort();
    files
}

/// The command is refused for this reason and changes nothing of `kept`.
fn check_refused(place: &Place, arguments: &[&str], kept: &str, why: &str) {
    let kept = place.path(kept);
    let snapshot = |path: &Path| match path.is_dir() {
        true => snapshot(path),
        false => vec![(String::new(), fs::read(path).unwrap())],
    };
    let before = snapshot(&kept);
    place.check(arguments, 1, REFUSED);
    place.check(arguments, 1, why);
    assert!(before == snapshot(&kept), "{arguments:?} changed {}", kept.display());
}

#[test]
fn a_directory_of_others_is_never_replaced() {
    let place = Place::with_bundle();
    let import = ["import", "client.pcap", "--force", "-o", "site"];
    let tables = ["export", "--format", "parquet", "b.afterpath", "--force", "-o", "site"];
    fs::create_dir(place.path("site")).unwrap();
    fs::write(place.path("site/manifest.json"), r#"{"name": "a web page"}"#).unwrap();
    check_refused(&place, &import, "site", "no manifest.json in it says");
    check_refused(&place, &tables, "site", "`manifest.json` in it is nothing");
    fs::remove_file(place.path("site/manifest.json")).unwrap();
    fs::write(place.path("site/prices.parquet"), "PAR1").unwrap();
    check_refused(&place, &import, "site", "no manifest.json in it says");
    check_refused(&place, &tables, "site", "`prices.parquet` in it is nothing");
    fs::remove_file(place.path("site/prices.parquet")).unwrap();
    // Our names alone don't make them ours.
    for name in ["calls", "observations", "hops", "flows"] {
        fs::write(place.path(&format!("site/{name}.parquet")), "PAR1").unwrap();
    }
    check_refused(&place, &tables, "site", "`calls.parquet` in it is nothing");
}

#[test]
fn what_others_put_into_an_output_keeps_it() {
    let place = Place::with_bundle();
    place.ok(&["import", "client.pcap", "-o", "c.afterpath"]);
    fs::write(place.path("c.afterpath/packets/notes.txt"), "x").unwrap();
    let import = ["import", "client.pcap", "--force", "-o", "c.afterpath"];
    check_refused(&place, &import, "c.afterpath", "`packets/notes.txt` in it is nothing");
    fs::remove_file(place.path("c.afterpath/packets/notes.txt")).unwrap();
    place.ok(&import);

    let tables = ["export", "--format", "parquet", "b.afterpath", "--force", "-o", "tables"];
    place.ok(&tables);
    fs::write(place.path("tables/notes.parquet"), "x").unwrap();
    check_refused(&place, &tables, "tables", "`notes.parquet` in it is nothing");
    fs::remove_file(place.path("tables/notes.parquet")).unwrap();
    place.ok(&tables);

    place.ok(&["demo"]);
    fs::write(place.path("afterpath-demo/thesis.txt"), "x").unwrap();
    check_refused(&place, &["demo", "--force"], "afterpath-demo", "`thesis.txt` in it is nothing");
    fs::remove_file(place.path("afterpath-demo/thesis.txt")).unwrap();
    place.ok(&["demo", "--force"]);
}

#[test]
fn one_kind_is_never_replaced_by_another_nor_an_input_by_its_output() {
    let place = Place::with_bundle();
    place.ok(&["pack", "b.afterpath", "-o", "b.tar"]);
    let calls = ["export", "--format", "calls", "--force"];
    let onto =
        |input: &'static str, output: &'static str| [&calls[..], &[input, "-o", output]].concat();
    check_refused(&place, &onto("b.tar", "b.afterpath"), "b.afterpath", "is a directory");
    check_refused(&place, &onto("b.afterpath", "b.afterpath"), "b.afterpath", "is what is read");
    check_refused(&place, &onto("b.tar", "b.tar"), "b.tar", "is what is read");
    check_refused(&place, &["pack", "b.tar", "-o", "b.tar", "--force"], "b.tar", "is what is read");
    let inside = ["pack", "b.afterpath", "-o", "b.afterpath/manifest.json", "--force"];
    check_refused(&place, &inside, "b.afterpath", "is what is read");
    let import = ["import", "client.pcap", "-o", "client.pcap", "--force"];
    check_refused(&place, &import, "client.pcap", "is a file, the output a directory");
    let tables = ["export", "--format", "parquet", "b.tar", "-o", "b.afterpath", "--force"];
    check_refused(&place, &tables, "b.afterpath", "in it is nothing");
}

#[cfg(unix)]
#[test]
fn links_and_devices_are_not_replaced() {
    let place = Place::with_bundle();
    fs::write(place.path("real.jsonl"), "kept").unwrap();
    std::os::unix::fs::symlink("real.jsonl", place.path("link.jsonl")).unwrap();
    let calls = ["export", "--format", "calls", "b.afterpath", "--force", "-o"];
    check_refused(&place, &[&calls[..], &["link.jsonl"]].concat(), "real.jsonl", "is a link");
    place.check(&[&calls[..], &["/dev/null"]].concat(), 1, "is a device or pipe");
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn an_empty_directory_is_nobodys() {
    let place = Place::with_bundle();
    fs::create_dir(place.path("empty")).unwrap();
    place.check(&["import", "client.pcap", "-o", "empty"], 1, REFUSED);
    place.ok(&["import", "client.pcap", "-o", "empty", "--force"]);
    assert!(place.names("empty").contains(&"manifest.json".to_owned()));
}
