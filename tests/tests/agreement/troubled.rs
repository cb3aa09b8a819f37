//! Connections with all that can go wrong, frame by frame, one kind each: SYNs and SYN-ACKs sent again, segments lost and reordered,
//! closed windows, delayed ACKs, resets, refusals. Both tools must count what we count, and time what we time. Never random: a tool's
//! rules of thumb (what is out of order, what was lost) are met squarely.

use crate::ours::{self, Connection, Direction, FlowMetrics};
use crate::{tcptrace, tshark};
use afterpath_tests::tool;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;
const US: i64 = 1_000;
const MS: i64 = 1_000_000;
const START: i64 = 1_767_225_600_000_000_000;
const ASK: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
const FULL: usize = 1000;

/// One connection as one tap has it.
struct Wire {
    frames: Vec<(i64, Vec<u8>)>,
    now_ns: i64,
    port: u16,
    next: [u32; 2],
    id: u16,
}

impl Wire {
    fn new(port: u16) -> Wire {
        let now_ns = START + i64::from(port) * 10_000 * MS;
        Wire { frames: Vec::new(), now_ns, port, next: [1_000, 77_000], id: 0 }
    }

    /// With a handshake of 150 and 90 us.
    fn open(port: u16) -> Wire {
        let mut wire = Wire::new(port);
        wire.send(0, SYN, 0).wait(150 * US).send(1, SYN | ACK, 0).wait(90 * US).send(0, ACK, 0);
        wire.wait(50 * US);
        wire
    }

    fn wait(&mut self, ns: i64) -> &mut Wire {
        self.now_ns += ns;
        self
    }

    /// The next `length` bytes of an end.
    fn send(&mut self, from: usize, flags: u8, length: usize) -> &mut Wire {
        let sequence = self.next[from];
        self.put(from, flags, sequence, length, 500);
        let taken = length as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[from] = sequence.wrapping_add(taken);
        self
    }

    /// The request, and its bare ACK.
    fn ask(&mut self) -> &mut Wire {
        self.send(0, ACK, ASK.len()).wait(200 * US).send(1, ACK, 0).wait(3 * MS)
    }

    /// A frame with `length` bytes `back` before the next byte.
    fn behind(&mut self, from: usize, flags: u8, back: u32, length: usize) -> &mut Wire {
        let sequence = self.next[from].wrapping_sub(back);
        self.put(from, flags, sequence, length, 500);
        self
    }

    /// An ACK of all but the last `back` bytes.
    fn acknowledge(&mut self, from: usize, back: u32) -> &mut Wire {
        self.next[1 - from] = self.next[1 - from].wrapping_sub(back);
        self.send(from, ACK, 0);
        self.next[1 - from] = self.next[1 - from].wrapping_add(back);
        self
    }

    fn put(&mut self, from: usize, flags: u8, sequence: u32, length: usize, window: u16) {
        let ends = [([10, 0, 0, 1], self.port), ([10, 0, 0, 2], 80)];
        let ((source, source_port), (target, target_port)) = (ends[from], ends[1 - from]);
        let acknowledgment = if flags & ACK != 0 { self.next[1 - from] } else { 0 };
        let payload: Vec<u8> = ASK.iter().copied().cycle().take(length).collect();
        self.id += 1;
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0];
        frame.extend((40 + length as u16).to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend([0x40, 0, 64, 6, 0, 0]);
        frame.extend(source);
        frame.extend(target);
        frame.extend(source_port.to_be_bytes());
        frame.extend(target_port.to_be_bytes());
        frame.extend(sequence.to_be_bytes());
        frame.extend(acknowledgment.to_be_bytes());
        frame.extend([0x50, flags]);
        frame.extend(window.to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        self.frames.push((self.now_ns, frame));
    }
}

/// One of each kind.
fn connections() -> Vec<Wire> {
    let mut all = Vec::new();
    let mut plain = Wire::open(2001);
    plain.ask().send(1, ACK, FULL).wait(80 * US).send(0, ACK, 0).wait(9 * MS);
    plain.ask().send(1, ACK, FULL).wait(30 * US).send(0, ACK, 0).wait(MS);
    plain.send(0, FIN | ACK, 0).wait(MS).send(1, FIN | ACK, 0).wait(MS).send(0, ACK, 0);
    all.push(plain);
    let mut syn = Wire::new(2002);
    syn.send(0, SYN, 0).wait(1_000 * MS).behind(0, SYN, 1, 0).wait(150 * US);
    syn.send(1, SYN | ACK, 0).wait(90 * US).send(0, ACK, 0).wait(MS).ask();
    all.push(syn);
    let mut syn_ack = Wire::new(2003);
    syn_ack.send(0, SYN, 0).wait(150 * US).send(1, SYN | ACK, 0).wait(1_000 * MS);
    syn_ack.behind(1, SYN | ACK, 1, 0).wait(90 * US).send(0, ACK, 0).wait(MS).ask();
    all.push(syn_ack);
    let mut reordered = Wire::open(2004);
    reordered.ask().send(1, ACK, FULL).wait(10 * US);
    reordered.next[1] += FULL as u32;
    reordered.send(1, ACK, FULL).wait(10 * US).behind(1, ACK, 2 * FULL as u32, FULL);
    reordered.wait(60 * US).send(0, ACK, 0);
    all.push(reordered);
    let mut timed_out = Wire::open(2005);
    timed_out.ask().send(1, ACK, FULL).wait(220 * MS).behind(1, ACK, FULL as u32, FULL);
    timed_out.wait(60 * US).send(0, ACK, 0).wait(MS).ask();
    all.push(timed_out);
    let mut closed = Wire::open(2006);
    closed.ask().send(1, ACK, FULL).wait(60 * US);
    for _ in 0..2 {
        let sequence = closed.next[0];
        closed.put(0, ACK, sequence, 0, 0);
        closed.wait(5 * MS);
    }
    closed.send(0, ACK, 0).wait(MS).send(1, ACK, FULL).wait(60 * US).send(0, ACK, 0);
    all.push(closed);
    let mut delayed = Wire::open(2007);
    delayed.send(0, ACK, ASK.len()).wait(40 * MS).send(1, ACK, 0).wait(MS).send(1, ACK, FULL);
    delayed.wait(70 * US).send(0, ACK, 0).wait(MS).ask();
    all.push(delayed);
    let mut refused = Wire::new(2008);
    refused.send(0, SYN, 0).wait(100 * US).send(1, RST | ACK, 0);
    all.push(refused);
    let mut reset = Wire::open(2009);
    reset.ask().send(1, RST | ACK, 0);
    all.push(reset);
    let mut fast = Wire::open(2010);
    fast.ask();
    fast.next[1] += FULL as u32;
    for behind in 1..=3 {
        fast.send(1, ACK, FULL).wait(50 * US).acknowledge(0, (1 + behind) * FULL as u32);
        fast.wait(20 * US);
    }
    fast.wait(5 * MS).behind(1, ACK, 4 * FULL as u32, FULL).wait(60 * US).send(0, ACK, 0);
    all.push(fast);
    all
}

fn capture() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("troubled.pcap");
    let mut bytes: Vec<u8> = Vec::new();
    for word in [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (time_ns, frame) in connections().into_iter().flat_map(|wire| wire.frames) {
        let (seconds, rest) = (time_ns / 1_000_000_000, time_ns % 1_000_000_000);
        for word in [seconds as u32, rest as u32, frame.len() as u32, frame.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(&path, bytes).expect("a capture");
    (folder, path)
}

/// What came behind later segments and had never been seen is, for tshark, sent again when duplicate ACKs had asked for it.
fn behind(of: Direction) -> Direction {
    Direction { retransmissions: of.retransmissions + of.late, late: 0, ..of }
}

/// As tcptrace counts: SYNs among all that was sent again.
fn one_count(of: Direction) -> Direction {
    let retransmissions = of.retransmissions + of.syn_retransmissions;
    Direction { retransmissions, syn_retransmissions: 0, ..of }
}

fn sum(flows: &BTreeMap<Connection, FlowMetrics>, of: fn(&Direction) -> u64) -> u64 {
    flows.values().flat_map(|flow| &flow.directions).map(of).sum()
}

#[test]
fn troubled_connections_agree_with_tshark() {
    if !tool::usable("tshark", "troubled connections") {
        return;
    }
    let (folder, capture) = capture();
    let analysis = ours::analyze(&capture, &folder.path().join("t.afterpath"));
    let (ours, theirs) = (ours::flows(&analysis), tshark::flows(&capture, &[80]));
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    for (connection, ours) in &ours {
        let theirs = &theirs[connection];
        let [a, b] = [ours, theirs].map(|flow| flow.directions.map(behind));
        assert_eq!(a, b, "{connection:?}");
        // Of several SYNs tshark takes the last one for the beginning, and a refusal for an answer.
        let is_plain = ours.directions.iter().all(|d| d.syn_retransmissions == 0);
        if is_plain && ours.round_trips_ns[0].is_some() {
            assert_eq!(ours.round_trip_ns, theirs.round_trip_ns, "{connection:?}");
        }
        assert_eq!(ours.acknowledged, theirs.acknowledged, "{connection:?}");
    }
    // What is compared is there.
    assert_eq!(sum(&ours, |d| d.retransmissions), 1);
    assert_eq!(sum(&ours, |d| d.syn_retransmissions), 2);
    assert_eq!(sum(&ours, |d| d.late), 2);
    assert_eq!(sum(&ours, |d| d.zero_windows), 2);
    assert_eq!(sum(&ours, |d| d.resets), 2);
    let delayed = analysis.flows.iter().map(|flow| flow.pace[0].delayed_acks).sum::<u64>();
    assert_eq!(delayed, 1);
}

#[test]
fn troubled_connections_agree_with_tcptrace() {
    if !tool::usable("tcptrace", "troubled connections") {
        return;
    }
    let (folder, capture) = capture();
    let analysis = ours::analyze(&capture, &folder.path().join("t.afterpath"));
    let (ours, theirs) = (ours::flows(&analysis), tcptrace::flows(&capture));
    assert!(ours.keys().eq(theirs.keys()), "other connections");
    for (connection, ours) in &ours {
        let theirs = &theirs[connection];
        assert_eq!(ours.directions.map(one_count), theirs.directions, "{connection:?}");
        tcptrace::check_round_trips(connection, ours, theirs);
    }
}
