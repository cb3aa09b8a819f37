//! Name resolution, TLS handshakes and an L4 proxy, real clients and servers all: every question with its answer's code, every
//! hello with the name it asks for, every request that was forwarded, as tshark tells them. It never looks at what the traffic's makers meant.

use crate::{http2, mysql, ours, tshark, websocket};
use afterpath::analysis::Analysis;
use afterpath::call::{Call, CallState, OrderBasis};
use afterpath_tests::recording::protocol_captures;
use afterpath_tests::tool;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A call as both sides tell it: what was asked, of which port, and the answer.
type Told = (String, u16, String);

/// The codes of RFC 1035, 4.1.1, as both sides name them.
const CODES: [&str; 6] = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

fn told(analysis: &Analysis, protocol: &str, tell: fn(&Call) -> Told) -> Vec<Told> {
    let calls = analysis.calls.iter().filter(|call| call.protocol == protocol);
    let mut told: Vec<Told> = calls.map(tell).collect();
    told.sort();
    told
}

#[test]
fn questions_hellos_and_forwarded_requests_agree_with_tshark() {
    if tool::usable("tshark", "DNS and TLS")
        && let Some(captures) = protocol_captures()
    {
        answers_agree(captures.path());
        hellos_agree(captures.path());
        forwarded_requests_are_one_call(captures.path());
        messages_are_those_of_the_servers_trace(captures.path());
        let n_streams =
            http2::streams_agree(captures.path(), "http2", &[8080, 8082], &[8080, 8081, 8082]);
        assert!(n_streams >= 80, "only {n_streams} streams of HTTP/2");
        let n_calls =
            http2::streams_agree(captures.path(), "grpc", &[50051, 50052], &[50051, 50052]);
        assert!(n_calls >= 55, "only {n_calls} calls of gRPC");
        let n_messages = websocket::messages_agree(captures.path());
        assert!(n_messages >= 150, "only {n_messages} messages of WebSocket");
        let n_commands = mysql::commands_agree(captures.path());
        assert!(n_commands >= 70, "only {n_commands} commands of MySQL");
    }
}

fn analyzed(captures: &Path, name: &str) -> (Analysis, PathBuf) {
    let capture = captures.join(format!("{name}.pcap"));
    (ours::analyze(&capture, &captures.join(format!("{name}.afterpath"))), capture)
}

fn answers_agree(captures: &Path) {
    let (mut analysis, capture) = analyzed(captures, "dns");
    analysis.calls.retain(|call| call.state == CallState::Complete);
    let ours = told(&analysis, "dns", |call| {
        (call.resource.clone(), call.server.port, call.status.clone())
    });
    let fields = ["dns.qry.name", "dns.flags.rcode", "udp.srcport", "tcp.srcport"];
    let rows = tshark::values_of(&capture, "dns.flags.response == 1", &[], &fields);
    let row = |row: &Vec<String>| {
        let code: usize = row[1].parse().expect("a code");
        let port = row[2..].iter().find(|port| !port.is_empty()).expect("a port");
        (row[0].clone(), port.parse().expect("a port"), CODES[code].to_string())
    };
    let mut theirs: Vec<Told> = rows.iter().map(row).collect();
    theirs.sort();
    assert!(theirs.len() >= 15, "only {} answers", theirs.len());
    assert_eq!(ours, theirs);
}

fn hellos_agree(captures: &Path) {
    let (analysis, capture) = analyzed(captures, "tls");
    let ours =
        told(&analysis, "tls", |call| (call.authority.clone(), call.server.port, String::new()));
    let fields = ["tls.handshake.extensions_server_name", "tcp.dstport"];
    let rows = tshark::values_of(&capture, "tls.handshake.type == 1", &[8443, 9443], &fields);
    let row = |row: &Vec<String>| (row[0].clone(), row[1].parse().expect("a port"), String::new());
    let mut theirs: Vec<Told> = rows.iter().map(row).collect();
    theirs.sort();
    assert!(theirs.len() >= 10, "only {} hellos", theirs.len());
    assert_eq!(ours, theirs);
}

/// Where the L4 proxy listens, and where it forwards to.
const LISTENERS: [u16; 3] = [8001, 8002, 8003];
const SERVERS: [u16; 3] = [9001, 9002, 9003];

/// tshark knows each request twice, before and behind the proxy; to us it is one call with both legs, each connection's
/// behind its own.
fn forwarded_requests_are_one_call(captures: &Path) {
    let (analysis, capture) = analyzed(captures, "forward");
    let http: Vec<String> = LISTENERS.iter().map(|port| format!("tcp.dstport == {port}")).collect();
    let filter = format!("tcp.len > 0 && ({})", http.join(" || "));
    let n_requests = tshark::values_of(&capture, &filter, &[], &["tcp.dstport"]).len();
    assert!(n_requests >= 60, "only {n_requests} requests");
    assert_eq!(analysis.calls.len(), n_requests);
    let mut onward: BTreeMap<SocketAddr, BTreeSet<SocketAddr>> = BTreeMap::new();
    for call in &analysis.calls {
        let [before, behind] = &call.spans[..] else { panic!("{} legs", call.spans.len()) };
        assert_eq!((call.status.as_str(), behind.order_basis), ("200", OrderBasis::Forwarding));
        let [before, behind] = [before, behind].map(|span| &analysis.flows[span.flow as usize]);
        let ports = (before.server.port(), behind.server.port());
        assert!(LISTENERS.into_iter().zip(SERVERS).any(|pair| pair == ports), "{ports:?}");
        onward.entry(before.client).or_default().insert(behind.client);
    }
    assert!(onward.values().all(|next| next.len() == 1), "{onward:?}");
}

/// A line of nats-server's trace: what a client said (`<<-`) or was told (`->>`), in words.
fn traced(log: &str, arrow: &str) -> Vec<Vec<String>> {
    let said = |line: &str| {
        let (_, said) = line.split_once(" - cid:")?.1.split_once(arrow)?;
        let words = said.trim().strip_prefix('[')?.strip_suffix(']')?;
        Some(words.split_whitespace().map(str::to_string).collect())
    };
    log.lines().filter_map(said).collect()
}

/// tshark 4.0 does not know NATS: the server's own trace is what is agreed with.
fn messages_are_those_of_the_servers_trace(captures: &Path) {
    let (analysis, _) = analyzed(captures, "nats");
    let log = std::fs::read_to_string(captures.join("nats.log")).expect("the server's trace");
    let is_reply =
        |subject: &str| subject.starts_with("_INBOX.") || subject.starts_with("$JS.ACK.");
    let mut theirs: Vec<(&str, String)> = Vec::new();
    let mut replies: Vec<String> = Vec::new();
    for (arrow, name) in [("<<- ", "PUB"), ("->> ", "MSG")] {
        for words in traced(&log, arrow) {
            if [name.to_string(), format!("H{name}")].contains(&words[0]) {
                match is_reply(&words[1]) {
                    true => replies.push(words[1].clone()),
                    false => theirs.push((name, words[1].clone())),
                }
            }
        }
    }
    let messages = |call: &&Call| ["PUB", "MSG"].contains(&call.request_type.as_str());
    let of_nats = analysis.calls.iter().filter(|call| call.protocol == "nats");
    let calls: Vec<&Call> = of_nats.filter(messages).collect();
    let mut ours: Vec<(&str, String)> = calls
        .iter()
        .filter(|call| call.state != CallState::ResponseOnly)
        .map(|call| (call.request_type.as_str(), call.resource.clone()))
        .collect();
    ours.sort();
    theirs.sort();
    assert!(theirs.len() >= 60, "only {} messages", theirs.len());
    assert_eq!(ours, theirs);
    // Each reply answers one request. What nobody serves the server answers itself, and does not trace.
    let n_answered = calls.iter().filter(|call| call.state == CallState::Complete).count();
    let n_more = calls.iter().filter(|call| call.state == CallState::ResponseOnly).count();
    let n_untraced = calls.iter().filter(|call| call.status == "503").count();
    assert_eq!((n_answered + n_more, n_untraced), (replies.len() + n_untraced, 1));
    let status = |resource: &str| {
        let mut found = calls.iter().filter(|call| call.resource == resource);
        found.next().map(|call| (call.status.as_str(), call.client.port == 4222))
    };
    assert_eq!(status("nobody.serves"), Some(("503", false)));
    assert_eq!(status("$JS.API.STREAM.INFO.NOSUCH"), Some(("404", false)));
    let served =
        calls.iter().filter(|call| call.request_type == "MSG" && call.resource == "greet.me");
    let from_server: Vec<bool> = served.map(|call| call.client.port == 4222).collect();
    assert_eq!(from_server, [true; 5], "a service is asked by the server");
    let traced: Vec<_> = calls.iter().filter(|call| call.resource == "greet.traced").collect();
    let is_traced = |call: &&&&Call| call.ids.iter().any(|(field, _)| field == "traceparent");
    assert_eq!(
        traced.iter().filter(is_traced).count(),
        2,
        "both ends bear the identifier: {traced:?}"
    );
    let refused = calls.iter().filter(|call| call.status == "-NAK").count();
    assert_eq!(refused, 1);
}
