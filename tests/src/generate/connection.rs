//! One keep-alive connection as a tap in the middle sees it: handshake, requests (some pipelined), responses over several
//! segments, acknowledgments, repeats of segments lost behind the tap, both FINs. It never loses a segment before the tap.

use super::exchange::{self, Exchange};
use super::frames::{ACK, End, FIN, PSH, SYN, Segment, frame};
use super::random::Random;

/// What a capture holds: the generator's own count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames.
    pub n_packets: u64,
    /// TCP connections.
    pub n_connections: u64,
    /// HTTP requests, each with its response.
    pub n_requests: u64,
    /// Segments seen a second time.
    pub n_retransmissions: u64,
}

/// Payload of a full segment beside the timestamp option.
const FULL_SEGMENT: usize = 1_448;
/// Share of connections that pipeline.
const PIPELINED_PERCENT: u64 = 10;
/// One segment in so many is lost behind the tap.
const LOSS_ONE_IN: u64 = 400;

/// One direction's state.
struct Half {
    end: End,
    next_sequence: u32,
    ip_id: u16,
    ttl: u8,
    /// From the tap to this end, one way.
    away_ns: u64,
    stamp: u32,
}

/// A connection in the making.
pub(super) struct Connection<'a> {
    random: &'a mut Random,
    halves: [Half; 2],
    now_ns: u64,
    packets: Vec<(u64, Vec<u8>)>,
    n_requests: u64,
    n_retransmissions: u64,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl<'a> Connection<'a> {
    /// Connection number `index`, whose number makes its addresses and ports unlike any other's.
    pub(super) fn new(index: u64, begin_ns: u64, random: &'a mut Random) -> Self {
        let client = [10, 1, (index >> 4) as u8 & 0x3f, 1 + (index & 0xf) as u8 * 16];
        let port = 20_000 + (index >> 10) as u16 * 7 % 40_000;
        let server = [10, 2, 0, 1 + random.below(8) as u8];
        let ends = [End { address: client, port }, End { address: server, port: 80 }];
        let halves = ends.map(|end| Half {
            end,
            next_sequence: random.next() as u32,
            ip_id: random.next() as u16,
            ttl: 64 - random.below(8) as u8,
            away_ns: random.spread(20_000, 8),
            stamp: random.next() as u32,
        });
        Connection {
            random,
            halves,
            now_ns: begin_ns,
            packets: Vec::new(),
            n_requests: 0,
            n_retransmissions: 0,
        }
    }

    /// Handshake, exchanges, farewell.
    pub(super) fn converse(&mut self) {
        self.control(CLIENT, SYN);
        self.turn(SERVER);
        self.control(SERVER, SYN | ACK);
        self.turn(CLIENT);
        self.control(CLIENT, ACK);
        let depth = if self.random.percent(PIPELINED_PERCENT) { 4 } else { 1 };
        for _ in 0..self.random.spread(2, 5) {
            self.now_ns += self.random.spread(10_000, 10);
            let n = self.random.between(1, depth);
            let exchanges: Vec<Exchange> =
                (0..n).map(|_| exchange::draw(n > 1, self.random)).collect();
            self.exchange(&exchanges);
        }
        self.control(CLIENT, FIN | ACK);
        self.turn(SERVER);
        self.control(SERVER, FIN | ACK);
        self.turn(CLIENT);
        self.control(CLIENT, ACK);
    }

    /// Its packets in time order, counted.
    pub(super) fn finish(mut self, totals: &mut Totals) -> Vec<(u64, Vec<u8>)> {
        self.packets.sort_by_key(|(time_ns, _)| *time_ns);
        totals.n_packets += self.packets.len() as u64;
        totals.n_connections += 1;
        totals.n_requests += self.n_requests;
        totals.n_retransmissions += self.n_retransmissions;
        self.packets
    }

    /// Requests in a row, then their responses in the same order.
    fn exchange(&mut self, exchanges: &[Exchange]) {
        self.n_requests += exchanges.len() as u64;
        if exchanges.len() > 1 && self.random.percent(50) {
            let together: Vec<u8> = exchanges.iter().flat_map(|e| e.request.clone()).collect();
            self.send(CLIENT, &together);
        } else {
            exchanges.iter().for_each(|e| self.send(CLIENT, &e.request));
        }
        self.turn(SERVER);
        for exchange in exchanges {
            // The service's own time; failures come late.
            let doublings = if exchange.status >= 500 { 14 } else { 11 };
            self.now_ns += self.random.spread(20_000, doublings);
            self.send(SERVER, &exchange.response);
        }
        self.turn(CLIENT);
    }

    /// The other end's turn: from the tap to it and back.
    fn turn(&mut self, to: usize) {
        self.now_ns += 2 * self.halves[to].away_ns + self.random.below(5_000);
    }

    /// `bytes` in full segments, a few microseconds apart, each second one acknowledged.
    fn send(&mut self, from: usize, bytes: &[u8]) {
        let to = 1 - from;
        let mut lost_until_ns = 0;
        for (i, payload) in bytes.chunks(FULL_SEGMENT).enumerate() {
            let is_last = (i + 1) * FULL_SEGMENT >= bytes.len();
            let sequence = self.halves[from].next_sequence;
            self.segment(from, self.now_ns, ACK | if is_last { PSH } else { 0 }, sequence, payload);
            self.halves[from].next_sequence = sequence.wrapping_add(payload.len() as u32);
            if self.random.below(LOSS_ONE_IN) == 0 {
                lost_until_ns = self.repeat(from, sequence, payload).max(lost_until_ns);
            } else if (i % 2 == 1 || is_last) && lost_until_ns == 0 {
                self.acknowledge(to);
            }
            self.now_ns += self.random.between(1_000, 12_000);
        }
        if lost_until_ns > 0 {
            self.now_ns = self.now_ns.max(lost_until_ns);
            self.acknowledge(to);
            self.turn(to);
        }
    }

    /// The same segment again after a retransmission time-out; when that was.
    fn repeat(&mut self, from: usize, sequence: u32, payload: &[u8]) -> u64 {
        let round_trip_ns = 2 * (self.halves[0].away_ns + self.halves[1].away_ns);
        let at_ns = self.now_ns + 200_000_000 + round_trip_ns + self.random.below(4_000_000);
        self.segment(from, at_ns, ACK | PSH, sequence, payload);
        self.n_retransmissions += 1;
        at_ns
    }

    /// An empty acknowledgment of all that `from` was sent, a way to it and back later.
    fn acknowledge(&mut self, from: usize) {
        let at_ns = self.now_ns + 2 * self.halves[from].away_ns + self.random.below(1_000);
        let sequence = self.halves[from].next_sequence;
        self.segment(from, at_ns, ACK, sequence, &[]);
    }

    fn control(&mut self, from: usize, flags: u8) {
        let sequence = self.halves[from].next_sequence;
        self.segment(from, self.now_ns, flags, sequence, &[]);
        if flags & (SYN | FIN) != 0 {
            self.halves[from].next_sequence = sequence.wrapping_add(1);
        }
    }

    fn segment(&mut self, from: usize, at_ns: u64, flags: u8, sequence: u32, payload: &[u8]) {
        let acknowledgment = self.halves[1 - from].next_sequence;
        let ticks = (at_ns / 1_000_000) as u32;
        let echo = self.halves[1 - from].stamp.wrapping_add(ticks);
        self.halves[from].ip_id = self.halves[from].ip_id.wrapping_add(1);
        let acknowledges = flags & ACK != 0;
        let segment = Segment {
            from: self.halves[from].end,
            to: self.halves[1 - from].end,
            ip_id: self.halves[from].ip_id,
            ttl: self.halves[from].ttl,
            sequence,
            acknowledgment: if acknowledges { acknowledgment } else { 0 },
            flags,
            stamps: (
                self.halves[from].stamp.wrapping_add(ticks),
                if acknowledges { echo } else { 0 },
            ),
            payload,
        };
        self.packets.push((at_ns, frame(&segment)));
    }
}
