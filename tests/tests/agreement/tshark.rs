//! What tshark says of a capture, with every preference that matters fixed. It never trusts a default.
//!
//! `http.time` is the time between the frames in which tshark finishes request and response: the last bytes of both when
//! it reassembles bodies, the first ones when it doesn't (heads here fit one segment).

use crate::ours::{Acknowledged, Connection, Direction, FlowMetrics};
use afterpath_tests::tool;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// What tshark does with a body that spans segments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    Reassembled,
    Ignored,
}

/// A request or a response.
pub(crate) struct Found {
    what: String,
    /// Of the frame it was finished in.
    pub(crate) at_ns: i64,
    pub(crate) http_time_ns: Option<i64>,
}

/// One connection's messages, in order.
#[derive(Default)]
pub(crate) struct Messages {
    pub(crate) requests: Vec<Found>,
    pub(crate) responses: Vec<Found>,
    /// tshark gave up on a frame, as 4.0 does when a chunked body's last line end is cut in two.
    pub(crate) malformed: bool,
    /// A request was sent before the response to the one before it was there.
    pub(crate) pipelined: bool,
}

impl Messages {
    pub(crate) fn methods(&self) -> Vec<&str> {
        self.requests.iter().map(|found| found.what.as_str()).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<&str> {
        self.responses.iter().map(|found| found.what.as_str()).collect()
    }
}

const HTTP: &str = "http.request || http.response || (http && _ws.malformed)";

/// HTTP messages by connection; `ports` are those of the servers.
pub(crate) fn transactions(
    capture: &Path,
    ports: &[u16],
    bodies: Bodies,
) -> BTreeMap<Connection, Messages> {
    let reassemble = if bodies == Bodies::Reassembled { "TRUE" } else { "FALSE" };
    let preferences = [
        "tcp.desegment_tcp_streams:TRUE".to_string(),
        format!("http.desegment_body:{reassemble}"),
        // Without bodies, what follows a head would be taken for a head to come.
        format!("http.desegment_headers:{reassemble}"),
    ];
    let fields = [
        "frame.time_epoch",
        "http.request.method",
        "http.response.code",
        "http.time",
        "_ws.malformed",
    ];
    let mut by_connection: BTreeMap<Connection, Messages> = BTreeMap::new();
    for row in rows(capture, HTTP, ports, &preferences, &fields) {
        let (connection, _) = row.connection(ports);
        let messages = by_connection.entry(connection).or_default();
        messages.malformed |= !row.fields[4].is_empty();
        let at_ns = nanoseconds(&row.fields[0]);
        let found =
            |what: &str, http_time_ns| Found { what: what.to_string(), at_ns, http_time_ns };
        for method in values(&row.fields[1]) {
            messages.pipelined |= messages.requests.len() > messages.responses.len();
            messages.requests.push(found(method, None));
        }
        let mut times = values(&row.fields[3]).map(nanoseconds);
        for status in values(&row.fields[2]) {
            messages.responses.push(found(status, times.next()));
        }
    }
    by_connection
}

/// Packets, bytes, retransmissions and the handshake's round trip by connection; `ports` are those of the servers.
pub(crate) fn flows(capture: &Path, ports: &[u16]) -> BTreeMap<Connection, FlowMetrics> {
    let preferences = ["tcp.analyze_sequence_numbers:TRUE".to_string()];
    let fields = [
        "tcp.len",
        "tcp.analysis.retransmission",
        "tcp.analysis.fast_retransmission",
        "tcp.analysis.spurious_retransmission",
        "tcp.analysis.initial_rtt",
        "tcp.analysis.out_of_order",
        "tcp.analysis.zero_window",
        "tcp.flags",
        "tcp.analysis.ack_rtt",
        "tcp.analysis.acks_frame",
        "frame.number",
        "tcp.analysis.lost_segment",
        "tcp.analysis.keep_alive",
    ];
    let mut by_connection: BTreeMap<Connection, FlowMetrics> = BTreeMap::new();
    let mut before: BTreeMap<Connection, (String, bool)> = BTreeMap::new();
    for row in rows(capture, "tcp", &[], &preferences, &fields) {
        let (connection, from_server) = row.connection(ports);
        let flow = by_connection.entry(connection).or_default();
        let segment = Segment::of(&row);
        flow.directions[usize::from(from_server)].add(&segment);
        if !row.fields[4].is_empty() {
            flow.round_trip_ns = Some(nanoseconds(&row.fields[4]));
        }
        // A bare ACK of the frame directly before, which was new and in order.
        let last = before.insert(connection, (row.fields[10].clone(), segment.is_next));
        let is_met = last.is_some_and(|(frame, is_next)| is_next && row.fields[9] == frame);
        if is_met && segment.length == 0 && segment.flags & (SYN | FIN | RST) == 0 {
            flow.acknowledged[usize::from(!from_server)].add(nanoseconds(&row.fields[8]));
        }
    }
    by_connection
}

const FIN: u64 = 1;
const SYN: u64 = 2;
const RST: u64 = 4;

/// What tshark says of one segment.
struct Segment {
    length: u64,
    flags: u64,
    is_again: bool,
    is_late: bool,
    is_zero_window: bool,
    /// Data, the very next, and nothing else.
    is_next: bool,
}

impl Segment {
    fn of(row: &Row) -> Segment {
        let is_set = |i: usize| !row.fields[i].is_empty();
        let flags = row.fields[7].trim_start_matches("0x");
        let flags = u64::from_str_radix(flags, 16).expect("flags");
        let length = row.fields[0].parse::<u64>().expect("a length");
        let is_plain = length > 0 && flags & (SYN | FIN | RST) == 0;
        let is_odd = [1, 2, 3, 5, 11, 12].into_iter().any(is_set);
        Segment {
            length,
            flags,
            is_again: [1, 2, 3].into_iter().any(is_set),
            is_late: is_set(5),
            is_zero_window: is_set(6),
            is_next: is_plain && !is_odd,
        }
    }
}

impl Direction {
    fn add(&mut self, segment: &Segment) {
        let is_syn = segment.flags & SYN != 0;
        self.packets += 1;
        self.payload_bytes += segment.length;
        self.retransmissions += u64::from(segment.is_again && !is_syn);
        self.syn_retransmissions += u64::from(segment.is_again && is_syn);
        self.late += u64::from(segment.is_late);
        self.zero_windows += u64::from(segment.is_zero_window);
        self.resets += u64::from(segment.flags & RST != 0);
    }
}

impl Acknowledged {
    /// Delayed ACKs are left out: no connection here has a round trip as long.
    fn add(&mut self, ns: i64) {
        if ns < DELAYED_NS {
            self.count += 1;
            self.sum_ns += ns;
            self.max_ns = self.max_ns.max(ns);
        }
    }
}

/// An ACK that took as long was delayed on purpose.
const DELAYED_NS: i64 = 30_000_000;

/// The fields of the packets that `filter` lets through; on `tls_ports` TLS is spoken.
pub(crate) fn values_of(
    capture: &Path,
    filter: &str,
    tls_ports: &[u16],
    fields: &[&str],
) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(capture).args(["-Y", filter, "-T", "fields"]);
    for port in tls_ports {
        command.arg("-d").arg(format!("tcp.port=={port},tls"));
    }
    for field in fields {
        command.args(["-e", field]);
    }
    let text = tool::output(&mut command).expect("tshark");
    text.lines().map(|line| line.split('\t').map(str::to_string).collect()).collect()
}

struct Row {
    from: SocketAddr,
    to: SocketAddr,
    fields: Vec<String>,
}

impl Row {
    /// Client and server, and whether the server sent it.
    fn connection(&self, ports: &[u16]) -> (Connection, bool) {
        let from_server = ports.contains(&self.from.port());
        let connection = if from_server { (self.to, self.from) } else { (self.from, self.to) };
        (connection, from_server)
    }
}

fn rows(
    capture: &Path,
    filter: &str,
    http_ports: &[u16],
    preferences: &[String],
    fields: &[&str],
) -> Vec<Row> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(capture).args(["-Y", filter, "-T", "fields"]);
    preferences.iter().for_each(|preference| {
        command.args(["-o", preference]);
    });
    for port in http_ports {
        command.arg("-d").arg(format!("tcp.port=={port},http"));
    }
    for field in ["ip.src", "tcp.srcport", "ip.dst", "tcp.dstport"].iter().chain(fields) {
        command.args(["-e", field]);
    }
    let text = tool::output(&mut command).expect("tshark");
    text.lines().map(row).collect()
}

fn row(line: &str) -> Row {
    let fields: Vec<&str> = line.split('\t').collect();
    let end = |i: usize| {
        let address: IpAddr = fields[i].parse().expect("an address");
        SocketAddr::new(address, fields[i + 1].parse().expect("a port"))
    };
    Row { from: end(0), to: end(2), fields: fields[4..].iter().map(|f| f.to_string()).collect() }
}

/// Several messages in one frame share a field.
fn values(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|value| !value.is_empty())
}

/// `1767225600.015562830` in nanoseconds.
fn nanoseconds(seconds: &str) -> i64 {
    let (whole, fraction) = seconds.split_once('.').expect("a fraction");
    let fraction = format!("{fraction:0<9}");
    whole.parse::<i64>().expect("seconds") * 1_000_000_000
        + fraction[..9].parse::<i64>().expect("ns")
}

/// A field of a packet, in the order of tshark's page: (its name, its value). A packet begins with its `timestamp`, in nanoseconds.
pub(crate) type Field = (String, String);

/// All fields of the packets that `filter` lets through; on these ports these protocols are spoken, and nothing else.
pub(crate) fn fields_of(capture: &Path, filter: &str, spoken: &[(u16, &str)]) -> Vec<Field> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(capture).args(["-Y", filter, "-T", "pdml"]);
    command.args(["-o", "tcp.desegment_tcp_streams:TRUE"]);
    for (port, protocol) in spoken {
        command.arg("-d").arg(format!("tcp.port=={port},{protocol}"));
    }
    let page = tool::output(&mut command).expect("tshark");
    let field = |line: &str| {
        let name = attribute(line, "name")?;
        let value = match name {
            "timestamp" => nanoseconds(attribute(line, "value")?).to_string(),
            _ => attribute(line, "show").unwrap_or_default().to_string(),
        };
        Some((name.to_string(), value))
    };
    page.lines().filter_map(field).collect()
}

/// The value of an attribute of a line of PDML.
fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let from = line.find(&format!(" {name}=\""))? + name.len() + 3;
    line[from..].split('"').next()
}
