//! Captures of real servers and clients (`testbed protocols`), one a protocol: all calls as a page beside them, and the same captures cut at their
//! beginning, in their middle, at their end and to 128 bytes a packet. `AFTERPATH_BLESS=1` writes the pages anew; a person reads them.
//!
//! A cut capture tells what can be known: never a call that the whole one has not, never one request's answer as another's; and what is
//! less than the whole bears a doubt. What the cut did not touch is told as before.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "captures and pages are files")]

use afterpath::analysis::Analysis;
use afterpath::call::{Call, CallState, LinkKind};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::{ImportPlan, Word, import};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

const SUBJECTS: [&str; 5] = ["http2", "grpc", "websocket", "nats", "mysql"];
/// So many of their calls are known by 128 bytes a packet: of WebSocket and NATS few, whose heads are longer.
const LEAST_SHORT: [usize; 5] = [82, 68, 6, 30, 84];
const BLESS: &str = "AFTERPATH_BLESS";
const HEAD: usize = 24;
const RECORD: usize = 16;
const SNAP: usize = 128;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/protocols").join(name)
}

fn analyzed(capture: &[u8]) -> Analysis {
    let folder = tempfile::tempdir().unwrap();
    let (file, bundle) = (folder.path().join("x.pcap"), folder.path().join("x.afterpath"));
    fs::write(&file, capture).unwrap();
    import(&ImportPlan::parse(&[Word::File(file)], &bundle).unwrap(), &|_| ()).unwrap();
    analyze(&Bundles::open(&[bundle]).unwrap(), &Config::default())
}

/// A call in a line: when, between whom, what, how it ended, how long, and what else is told.
fn line(call: &Call, since_ns: i64) -> String {
    let t = call.times();
    let at = |time: Option<i64>| {
        time.map_or("-".to_string(), |ns| ((ns - since_ns) / 1_000).to_string())
    };
    let times =
        [t.request_first, t.request_last, t.response_first, t.response_last].map(at).join(" ");
    let facts: String =
        call.attributes.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    let ids: String = call.ids.iter().map(|(field, _)| format!(" {field}")).collect();
    let issues: String = call.issues.iter().map(|issue| format!(" {}", issue.name())).collect();
    let link = call.link.as_ref().map_or("", |link| match link.kind {
        LinkKind::Relay => " passed-on",
        LinkKind::Work => " caused",
        LinkKind::Queue => " caused",
    });
    format!(
        "{times} {}>{} {} {} {} {} {} {:?}{link}{facts}{ids}{issues}\n",
        call.client.port,
        call.server.port,
        call.protocol,
        call.request_type,
        call.resource,
        call.authority,
        call.status,
        call.state
    )
}

#[test]
fn every_call_of_real_traffic_is_told_as_read_before() {
    for subject in SUBJECTS {
        let analysis = analyzed(&fs::read(path(&format!("{subject}.pcap"))).unwrap());
        let since_ns = analysis.calls.iter().filter_map(|call| call.times().first()).min().unwrap();
        let page: String = analysis.calls.iter().map(|call| line(call, since_ns)).collect();
        let file = path(&format!("{subject}.txt"));
        if std::env::var_os(BLESS).is_some() {
            fs::write(&file, &page).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap();
        for (nth, (ours, expected)) in page.lines().zip(expected.lines()).enumerate() {
            assert_eq!(ours, expected, "{subject}, line {}; {BLESS}=1 accepts it", nth + 1);
        }
        assert_eq!(page.lines().count(), expected.lines().count(), "{subject}");
    }
}

/// The packets of a capture, each with its header.
fn packets(capture: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut found) = (&capture[HEAD..], Vec::new());
    while rest.len() >= RECORD {
        let length = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        let (packet, more) = rest.split_at(RECORD + length);
        found.push(packet);
        rest = more;
    }
    found
}

fn capture_of<'a>(whole: &[u8], packets: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut capture = whole[..HEAD].to_vec();
    packets.for_each(|packet| capture.extend_from_slice(packet));
    capture
}

/// The first bytes of a packet.
fn snapped(packet: &[u8]) -> Vec<u8> {
    let length = (packet.len() - RECORD).min(SNAP);
    let mut short = packet[..RECORD + length].to_vec();
    short[8..12].copy_from_slice(&(length as u32).to_le_bytes());
    short
}

/// What names a call in the whole capture: its client's port and its four times; of a cut one, those that it knows.
fn agrees(part: &Call, whole: &Call) -> bool {
    let ([a, b], [p, w]) = ([part, whole].map(|c| c.client.port), [part, whole].map(|c| c.times()));
    let same = |part: Option<i64>, whole: Option<i64>| part.is_none() || part == whole;
    let word = |part: &str, whole: &str| part.is_empty() || part == whole;
    let is_named = |resource: &str| !resource.starts_with("h2:path?") && !resource.starts_with('#');
    // Of a call that is not known to be gRPC's, whose end was not seen: what HTTP said so far.
    let is_http_status =
        part.state == CallState::Open && part.outcome.is_none() && part.protocol == "http2";
    // Of a text that was cut the beginning is known; what was cut in its middle was a literal.
    let known = part.resource.trim_end_matches('?');
    let is_cut = part.issues.iter().any(|issue| issue.name() == "head-cut")
        && whole.resource.starts_with(known);
    // An answer alone names itself, where it has a name.
    let is_answer = part.state == CallState::ResponseOnly;
    // The rest of a message whose beginning was not seen begins later.
    let is_rest =
        part.issues.iter().any(|issue| ["head-cut", "missed-start"].contains(&issue.name()))
            && p.request_first > w.request_first
            && p.request_last == w.request_last;
    a == b
        && (same(p.request_first, w.request_first) || is_rest)
        && same(p.response_first, w.response_first)
        && (is_answer || !is_named(&part.resource) || word(&part.request_type, &whole.request_type))
        && (is_answer
            || !is_named(&part.resource)
            || word(&part.resource, &whole.resource)
            || is_cut)
        && (word(&part.status, &whole.status) || is_http_status)
}

/// Every call of a part that says what was asked, or what was answered to what, is one of the whole's.
fn check(subject: &str, how: &str, part: &Analysis, whole: &BTreeMap<u16, Vec<&Call>>) -> usize {
    let spoken =
        part.calls.iter().filter(|call| !["opaque", "tcp"].contains(&call.protocol.as_str()));
    let mut n = 0;
    for call in spoken {
        let same = whole.get(&call.client.port).map_or(&[][..], Vec::as_slice);
        // A 101 whose head is cut does not tell that its request is answered in HTTP/2: it is the answer then.
        let asked = |known: &&&Call| known.times().request_first == call.times().request_first;
        let is_upgrade = call.status == "101" && same.iter().any(|known| asked(&known));
        let found = same.iter().filter(|known| agrees(call, known)).count();
        assert!(found > 0 || is_upgrade, "{subject}, {how}: {call:?}");
        let is_less =
            call.state == CallState::ResponseOnly || call.resource.starts_with("h2:path?");
        assert!(!is_less || !call.issues.is_empty(), "{subject}, {how}: no doubt: {call:?}");
        n += 1;
    }
    n
}

/// Time and ports of a packet of these captures: Ethernet or loopback, IPv4, TCP.
fn when_and_where(packet: &[u8]) -> (i64, [u16; 2]) {
    let number = |at: usize| u32::from_le_bytes(packet[at..at + 4].try_into().unwrap());
    let port = |at: usize| u16::from_be_bytes(packet[at..at + 2].try_into().unwrap());
    let ip = RECORD + 14;
    let tcp = ip + usize::from(packet[ip] & 15) * 4;
    (i64::from(number(0)) * 1_000_000_000 + i64::from(number(4)), [port(tcp), port(tcp + 2)])
}

/// All calls of the whole that the cut left untouched are told by the part as before; how many.
fn check_untouched(
    subject: &str,
    how: &str,
    part: &Analysis,
    whole: &Analysis,
    is_untouched: impl Fn(&Call) -> bool,
) -> usize {
    let fact = |call: &Call| {
        let t = call.times();
        let times = [t.request_first, t.request_last, t.response_first, t.response_last];
        let asked = (call.request_type.clone(), call.resource.clone());
        (call.client.port, call.protocol.clone(), asked, call.status.clone(), times)
    };
    let told: BTreeSet<_> = part.calls.iter().map(fact).collect();
    let mut n = 0;
    for call in whole.calls.iter().filter(|call| is_untouched(call)) {
        assert!(told.contains(&fact(call)), "{subject}, {how}: not told: {call:?}");
        n += 1;
    }
    n
}

#[test]
fn a_capture_that_is_cut_tells_no_call_that_was_not() {
    for (nth, subject) in SUBJECTS.into_iter().enumerate() {
        let capture = fs::read(path(&format!("{subject}.pcap"))).unwrap();
        let packets = packets(&capture);
        let analysis = analyzed(&capture);
        let mut whole: BTreeMap<u16, Vec<&Call>> = BTreeMap::new();
        for call in &analysis.calls {
            whole.entry(call.client.port).or_default().push(call);
        }
        let (mut n, mut n_untouched) = (0, [0; 3]);
        let passed: Vec<_> = packets.iter().map(|packet| when_and_where(packet)).collect();
        for tenth in 1..10 {
            let at = packets.len() * tenth / 10;
            let late = capture_of(&capture, packets[at..].iter().copied());
            let (how, part) = (format!("from {tenth} tenths on"), analyzed(&late));
            n += check(subject, &how, &part, &whole);
            let touched = |range: Range<usize>| -> BTreeSet<u16> {
                passed[range].iter().flat_map(|(_, ports)| *ports).collect()
            };
            let seen = touched(0..at);
            let is_new = |call: &Call| !seen.contains(&call.client.port);
            n_untouched[0] += check_untouched(subject, &how, &part, &analysis, is_new);
            let early = capture_of(&capture, packets[..at].iter().copied());
            let (how, part) = (format!("up to {tenth} tenths"), analyzed(&early));
            n += check(subject, &how, &part, &whole);
            let end_ns = passed[at].0;
            let is_over = |call: &Call| match call.state {
                CallState::Complete => call.times().response_last < Some(end_ns),
                CallState::OneWay => call.times().request_last < Some(end_ns),
                _ => false,
            };
            n_untouched[1] += check_untouched(subject, &how, &part, &analysis, is_over);
            let hole = at..(at + 7).min(packets.len());
            let torn =
                packets.iter().enumerate().filter(|(n, _)| !hole.contains(n)).map(|(_, p)| *p);
            let torn = capture_of(&capture, torn);
            let (how, part) = (format!("without 7 packets at {tenth} tenths"), analyzed(&torn));
            n += check(subject, &how, &part, &whole);
            let torn = touched(hole.clone());
            let is_other = |call: &Call| !torn.contains(&call.client.port);
            n_untouched[2] += check_untouched(subject, &how, &part, &analysis, is_other);
        }
        let short: Vec<Vec<u8>> = packets.iter().map(|packet| snapped(packet)).collect();
        let short = capture_of(&capture, short.iter().map(Vec::as_slice));
        let n_short = check(subject, "of 128 bytes a packet", &analyzed(&short), &whole);
        n += n_short;
        let n_least = LEAST_SHORT[nth];
        assert!(
            n_short >= n_least,
            "{subject}: {n_short} of {n_least} known by 128 bytes a packet"
        );
        let is_much = |n: &usize| *n >= analysis.calls.len();
        assert!(n_untouched.iter().all(is_much), "{subject}: only {n_untouched:?}");
        assert!(n > 9 * analysis.calls.len(), "{subject}: only {n} of {}", analysis.calls.len());
    }
}
