//! WebSocket of a real server and client, through a proxy too: every message's type, path and times, every ping's pong, as tshark tells
//! the frames. It never looks at what the traffic's makers meant.
//!
//! What differs, and why: tshark gives a frame the time of the segment that ends it, so a frame of several segments begins earlier for
//! us (asserted: never later, nor before the end of the frame before it).

use crate::{ours, tshark};
use afterpath::call::{Call, CallState};
use std::collections::BTreeMap;
use std::path::Path;

const TOLERANCE_NS: i64 = 1_000;
const SERVERS: [u16; 2] = [80, 8765];

/// Sender's and receiver's port, type, first and last byte.
type Row = (u16, u16, &'static str, i64, i64);

/// Messages, each with the end of the frame before it in the same direction; before the first: nothing.
fn theirs(capture: &Path) -> Vec<(Row, i64)> {
    let (mut rows, mut open) = (Vec::new(), Vec::<(Row, i64)>::new());
    let mut ends: BTreeMap<[u16; 2], i64> = BTreeMap::new();
    let (mut at_ns, mut ports, mut is_last) = (0, [0_u16; 2], false);
    for (name, value) in tshark::fields_of(capture, "websocket", &[(8765, "http")]) {
        match name.as_str() {
            "timestamp" => at_ns = value.parse().expect("a time"),
            "tcp.srcport" => ports[0] = value.parse().expect("a port"),
            "tcp.dstport" => ports[1] = value.parse().expect("a port"),
            "websocket.fin" => is_last = value == "1" || value == "True",
            "websocket.opcode" => {
                let before = ends.insert(ports, at_ns).unwrap_or_default();
                let at = open.iter().position(|(row, _)| [row.0, row.1] == ports);
                let mut message = match (value.as_str(), at) {
                    ("0", Some(at)) => open.remove(at),
                    (code, _) => {
                        let names = [("1", "TEXT"), ("2", "BINARY"), ("8", "CLOSE"), ("9", "PING")];
                        let name = names.iter().find(|(known, _)| *known == code);
                        let name = name.map_or("PONG", |(_, name)| *name);
                        ((ports[0], ports[1], name, at_ns, at_ns), before)
                    }
                };
                message.0.4 = at_ns;
                if is_last { rows.push(message) } else { open.push(message) }
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "{open:?}");
    rows
}

fn ours(call: &Call) -> Vec<Row> {
    let name = ["TEXT", "BINARY", "CLOSE", "PING"].into_iter().find(|n| *n == call.request_type);
    let (from, to, t) = (call.client.port, call.server.port, call.times());
    let time = |time: Option<i64>| time.expect("known");
    let name = name.expect("a type");
    let mut rows = vec![(from, to, name, time(t.request_first), time(t.request_last))];
    if call.state == CallState::Complete {
        rows.push((to, from, "PONG", time(t.response_first), time(t.response_last)));
    }
    rows
}

/// Compares all messages; how many there were.
pub(super) fn messages_agree(captures: &Path) -> usize {
    let capture = captures.join("websocket.pcap");
    let analysis = ours::analyze(&capture, &captures.join("websocket.afterpath"));
    let calls = analysis.calls.iter().filter(|call| call.protocol == "websocket");
    let calls: Vec<&Call> = calls.collect();
    let is_server = |call: &&&Call| SERVERS.contains(&call.client.port);
    assert!(calls.iter().filter(is_server).count() > 50, "servers speak unasked");
    assert!(calls.iter().all(|call| call.resource.starts_with("/feed?room=")));
    let mut told = theirs(&capture);
    let mut own: Vec<Row> = calls.into_iter().flat_map(ours).collect();
    let by_last = |row: &Row| (row.4, row.0, row.1, row.2, row.3);
    told.sort_by_key(|(row, _)| by_last(row));
    own.sort_by_key(by_last);
    assert_eq!(own.len(), told.len(), "messages");
    for (ours, (theirs, not_before_ns)) in own.iter().zip(&told) {
        assert_eq!((ours.0, ours.1, ours.2), (theirs.0, theirs.1, theirs.2));
        assert!((ours.4 - theirs.4).abs() < TOLERANCE_NS, "{ours:?}: {theirs:?}");
        assert!(ours.3 < theirs.3 + TOLERANCE_NS, "{ours:?}: {theirs:?}");
        assert!(ours.3 + TOLERANCE_NS > *not_before_ns, "{ours:?}: {theirs:?}");
    }
    told.len()
}
