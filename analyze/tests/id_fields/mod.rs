//! Fields that the user names: what they tell apart, that results without them are others, and what is refused. Never a tracer's own.

use crate::{Place, capture};
use serde_json::Value;
use std::fs;

fn place() -> Place {
    let place = Place::new();
    fs::write(place.path("service.pcap"), capture::crossed()).unwrap();
    place.ok(&["import", "--host", "shop=service.pcap", "-o", "b.afterpath"]);
    place
}

/// What the two calls to the store say of their links, in the order of their clients' ports: the parent's client port, how many
/// candidates there are, and the reasons.
fn links(place: &Place, options: &[&str]) -> [(u64, u64, String); 2] {
    let command = ["export", "--format", "calls", "b.afterpath"];
    let said = place.ok(&[&command[..], options].concat());
    let calls: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let port = |call: &Value| call["client"]["port"].as_u64().unwrap();
    [50_000, 50_001].map(|asked_from| {
        let call = calls.iter().find(|call| port(call) == asked_from).unwrap();
        let parent = calls.iter().find(|parent| parent["id"] == call["parent"]).unwrap();
        let link = &call["link"];
        (port(parent), link["candidates"].as_u64().unwrap(), link["evidence"].to_string())
    })
}

#[test]
fn a_users_own_field_tells_requests_apart_that_are_open_at_once() {
    let place = place();
    let check = |options: &[&str], is_told: bool| {
        let found = links(&place, options);
        for (nth, (parent, candidates, reasons)) in (0..).zip(&found) {
            let is_named = reasons.contains(&format!("x-order order-000{nth}"));
            assert_eq!((is_named, *candidates == 1), (is_told, is_told), "{options:?}: {found:?}");
            assert!(!is_told || *parent == 40_000 + nth, "{options:?}: {found:?}");
        }
    };
    // Stored results are those of their options, whichever came before.
    check(&[], false);
    check(&["--id-field", "X-Order"], true);
    check(&["--id-field", "x-basket"], false);
    check(&["--id-field", "x-basket", "--id-field", "x-order"], true);
    check(&["--id-field", "x-order", "--ignore-ids"], false);
    check(&[], false);
    assert_eq!(place.names("b.afterpath.analysis").len(), 5);
    let trace = ["trace", "order-0001", "b.afterpath"];
    assert!(place.ok(&[&trace[..], &["--id-field", "x-order"]].concat()).contains("/stock"));
    place.check(&trace, 1, "error[unknown-trace]");
}

#[test]
fn what_can_be_no_field_is_refused() {
    let place = place();
    let check = |names: &[&str], why: &str| {
        let options = names.iter().flat_map(|name| ["--id-field", name]);
        let arguments: Vec<&str> = ["traces", "b.afterpath"].into_iter().chain(options).collect();
        place.check(&arguments, 2, &format!("error[bad-option]: --id-field: {why}"));
    };
    check(&["x-order", "x order"], "`x order` can't be the name of a field");
    check(&[""], "`` can't be the name of a field");
    check(&["host"], "`host` tells what a message is");
    let long = "x".repeat(65);
    check(&[&long], &format!("`{long}` is longer than 64 bytes"));
    let many: Vec<String> = (0..33).map(|n| format!("x-{n}")).collect();
    check(&many.iter().map(String::as_str).collect::<Vec<_>>(), "33 fields");
    let export = ["export", "--format", "pcapng", "b.afterpath", "-o", "x", "--id-field", "x"];
    place.check(&export, 2, "error[bad-option]");
}
