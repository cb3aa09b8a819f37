//! HTTP/2 and gRPC of real servers and clients: each stream's method, path, status, count of messages and times, as tshark tells
//! them. It never looks at what the traffic's makers meant.
//!
//! What differs, and why: tshark gives a frame the time of the segment that ends it, so a head of several segments begins earlier for
//! us (asserted: never later, nor before the end of the frame before it); the request that asked for an upgrade is HTTP/1 for tshark and stream 1's for us; a promised stream is
//! one message for us, its promise; what answers a call that was given up before is no answer for us.

use crate::{ours, tshark};
use afterpath::call::{Call, CallState};
use std::collections::BTreeMap;
use std::path::Path;

/// Times agree when they differ by less.
const TOLERANCE_NS: i64 = 1_000;

/// One side of a stream.
#[derive(Debug, Default, Clone)]
struct Half {
    first_ns: i64,
    /// When the frame before its first ended, in the same direction of the connection; the first of all: nothing.
    not_before_ns: i64,
    /// END_STREAM, or a reset.
    last_ns: Option<i64>,
    /// A reset alone.
    reset_ns: Option<i64>,
    fields: BTreeMap<String, String>,
    n_messages: usize,
}

impl Half {
    fn field(&self, name: &str) -> String {
        self.fields.get(name).cloned().unwrap_or_default()
    }
}

/// A stream, by its connection's client port and its number.
type Streams = BTreeMap<Key, [Half; 2]>;
type Key = (u16, u32);

/// What tshark says of these servers' connections, of which some speak nothing else, frame by frame in the order of its page.
fn theirs(capture: &Path, http2_ports: &[u16], servers: &[u16]) -> Streams {
    let spoken: Vec<(u16, &str)> = http2_ports.iter().map(|port| (*port, "http2")).collect();
    let mut streams = Streams::new();
    let (mut at_ns, mut ports, mut kind, mut ends) = (0, [0_u16; 2], 0, false);
    let mut place: Option<(Key, usize)> = None;
    let mut name = String::new();
    // The end of the last frame of a direction, and of the one before.
    let mut frames: BTreeMap<[u16; 2], [i64; 2]> = BTreeMap::new();
    for (field, show) in tshark::fields_of(capture, "http2", &spoken) {
        match field.as_str() {
            "timestamp" => at_ns = show.parse().expect("a time"),
            "tcp.srcport" => ports[0] = show.parse().expect("a port"),
            "tcp.dstport" => ports[1] = show.parse().expect("a port"),
            "http2.type" => {
                (kind, ends) = (show.parse().expect("a type"), false);
                let [last, before] = frames.entry(ports).or_default();
                (*last, *before) = (at_ns, *last);
            }
            "http2.flags.end_stream" => ends = show == "1",
            "http2.streamid" => {
                let id: u32 = show.parse().expect("a number");
                place = None;
                if id % 2 == 1 && [0, 1, 3, 9].contains(&kind) {
                    let side = usize::from(servers.contains(&ports[0]));
                    let key = (ports[side], id);
                    let half = &mut streams.entry(key).or_default()[side];
                    if half.first_ns == 0 {
                        (half.first_ns, half.not_before_ns) = (at_ns, frames[&ports][1]);
                    }
                    if kind == 3 {
                        half.reset_ns = half.reset_ns.or(Some(at_ns));
                    }
                    if ends || kind == 3 {
                        half.last_ns = half.last_ns.or(Some(at_ns));
                    }
                    place = Some((key, side));
                }
            }
            "http2.rst_stream.error" => {
                if let Some((key, side)) = place {
                    let half = &mut streams.get_mut(&key).expect("known")[side];
                    half.fields.insert("reset".to_string(), format!("reset {show}"));
                }
            }
            "http2.header.name" => name = show,
            "http2.header.value" => {
                if let Some((key, side)) = place {
                    let half = &mut streams.get_mut(&key).expect("known")[side];
                    half.fields.entry(name.clone()).or_insert(show);
                }
            }
            "grpc.message_length" => {
                if let Some((key, side)) = place {
                    streams.get_mut(&key).expect("known")[side].n_messages += 1;
                }
            }
            _ => {}
        }
    }
    streams
}

fn code(status: &str) -> String {
    const NAMES: [(&str, &str); 7] = [
        ("OK", "0"),
        ("DEADLINE_EXCEEDED", "4"),
        ("NOT_FOUND", "5"),
        ("PERMISSION_DENIED", "7"),
        ("UNIMPLEMENTED", "12"),
        ("INTERNAL", "13"),
        ("INTERNAL_ERROR", "reset 2"),
    ];
    let named = NAMES.iter().find(|(name, _)| *name == status);
    named.map_or(status, |(_, code)| code).to_string()
}

fn counted(call: &Call, name: &str) -> usize {
    let found = call.attributes.iter().find(|(attribute, _)| attribute == name);
    found.map_or(0, |(_, value)| value.parse().expect("a number"))
}

/// Compares all streams of a capture; how many there were.
pub(super) fn streams_agree(
    captures: &Path,
    name: &str,
    http2_ports: &[u16],
    servers: &[u16],
) -> usize {
    let capture = captures.join(format!("{name}.pcap"));
    let analysis = ours::analyze(&capture, &captures.join(format!("{name}.afterpath")));
    let mut theirs = theirs(&capture, http2_ports, servers);
    theirs.retain(|_, [asked, _]| asked.fields.contains_key(":method"));
    let is_stream = |call: &&Call| {
        ["http2", "grpc"].contains(&call.protocol.as_str())
            && call.version == "2"
            && call.state != CallState::OneWay
    };
    let calls: Vec<&Call> = analysis.calls.iter().filter(is_stream).collect();
    type Row = (u16, String, String, String, [Option<i64>; 4], [usize; 2]);
    let mut not_before: BTreeMap<(u16, i64), i64> = BTreeMap::new();
    let mut told: Vec<Row> = Vec::new();
    for ((port, _), [asked, answered]) in &theirs {
        // Given up before the answer came, which is then none.
        let is_late = asked.reset_ns.is_some_and(|reset| reset < answered.first_ns);
        let answered = if is_late { &Half::default() } else { answered };
        let grpc = answered.field("grpc-status");
        let status = [grpc, answered.field("reset"), answered.field(":status")];
        let mut status = status.into_iter().find(|status| !status.is_empty()).unwrap_or_default();
        // Given up before the answer was over: what HTTP said of it is not how it ended.
        if asked.reset_ns.is_some_and(|at| answered.last_ns.is_none_or(|last| at < last)) {
            status = String::new();
        }
        let answered_ns = (answered.first_ns > 0).then_some(answered.first_ns);
        let times = [Some(asked.first_ns), asked.last_ns, answered_ns, answered.last_ns];
        let counts = [asked.n_messages, answered.n_messages];
        for half in [asked, answered] {
            not_before.insert((*port, half.first_ns), half.not_before_ns);
        }
        told.push((*port, asked.field(":method"), asked.field(":path"), status, times, counts));
    }
    let mut ours: Vec<Row> = Vec::new();
    for call in calls {
        let t = call.times();
        let times = [t.request_first, t.request_last, t.response_first, t.response_last];
        let counts = [counted(call, "messages"), counted(call, "response.messages")];
        let asked = (call.request_type.clone(), call.resource.clone());
        // Its client gave it up, with whatever error: tshark's calls have no status then.
        let is_given_up =
            call.attributes.iter().any(|(name, value)| name == "reset" && *value == call.status);
        let status = if is_given_up { String::new() } else { code(&call.status) };
        ours.push((call.client.port, asked.0, asked.1, status, times, counts));
    }
    let by_last = |row: &Row| (row.0, row.4[1], row.2.clone(), row.4[0], row.4[3]);
    told.sort_by_key(by_last);
    ours.sort_by_key(by_last);
    let asked = |rows: &[Row]| -> Vec<_> {
        rows.iter().map(|row| (row.0, row.1.clone(), row.2.clone(), row.4[0])).collect()
    };
    assert_eq!(ours.len(), told.len(), "{name}: {:?}: {:?}", asked(&ours), asked(&told));
    let is_grpc = name == "grpc";
    let mut n_earlier = 0;
    for (ours, theirs) in ours.iter().zip(&told) {
        let what = |row: &Row| (row.0, row.1.clone(), row.2.clone(), row.3.clone());
        assert_eq!(what(ours), what(theirs), "{name}");
        if is_grpc {
            assert_eq!(ours.5, theirs.5, "{ours:?}: messages");
        }
        for (place, (ours_ns, theirs_ns)) in ours.4.iter().zip(theirs.4).enumerate() {
            let (Some(ours_ns), Some(theirs_ns)) = (*ours_ns, theirs_ns) else {
                // A response that was given up has no last byte; ours is then the last that was seen.
                assert!(place >= 2, "{ours:?}: {theirs:?}");
                continue;
            };
            let is_first = place % 2 == 0;
            let differs = (ours_ns - theirs_ns).abs() >= TOLERANCE_NS;
            assert!(!differs || (is_first && ours_ns < theirs_ns), "{ours:?}: {theirs:?}");
            let earliest = if is_first { not_before[&(ours.0, theirs_ns)] } else { i64::MIN };
            assert!(ours_ns + TOLERANCE_NS > earliest, "{ours:?}: {theirs:?}");
            n_earlier += usize::from(differs);
        }
    }
    assert!(n_earlier <= 3, "{name}: {n_earlier} messages of several segments");
    told.len()
}
