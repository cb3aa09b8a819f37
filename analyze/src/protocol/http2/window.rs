//! What one side let the other send (RFC 9113, 5.2), and where that was used up. Offsets only: a sender whose bytes so far are exactly one of the sums it
//! was ever granted stood there and waited, if time passed until it went on; `pair` sees that.

use std::collections::BTreeMap;

const DEFAULT: u64 = 65_535;
/// Grants that are remembered, of all streams together.
const MAX_GRANTS: usize = 1 << 16;
const MAX_INITIALS: usize = 8;

/// Grants of one side, in the order in which it made them.
#[derive(Debug)]
pub(super) struct Granted {
    /// Windows that a stream began with.
    initials: Vec<u64>,
    /// Sums for the whole connection.
    connection: Vec<u64>,
    /// Sums for each stream, beyond its initial window.
    streams: BTreeMap<u32, Vec<u64>>,
    n_grants: usize,
    /// All grants so far are known; from the first one missed on, none is added.
    is_known: bool,
}

/// A place where a sender may have stood: what it had sent by then, of all streams and of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) stream: u32,
    pub(super) of_connection: u64,
    pub(super) of_stream: u64,
    /// Offset behind the last byte sent before: of any stream, of this one.
    pub(super) since_connection: u64,
    pub(super) since_stream: u64,
    /// Where it went on.
    pub(super) until: u64,
}

impl Granted {
    pub(super) fn new() -> Granted {
        Granted {
            initials: vec![DEFAULT],
            connection: vec![DEFAULT],
            streams: BTreeMap::new(),
            n_grants: 0,
            is_known: true,
        }
    }

    /// Grants were missed, from here on or from the beginning.
    pub(super) fn lose(&mut self, from_start: bool) {
        self.is_known = false;
        if from_start {
            (self.initials, self.connection) = (Vec::new(), Vec::new());
        }
    }

    pub(super) fn initial(&mut self, size: u32) {
        let size = u64::from(size);
        if self.is_known && self.initials.len() < MAX_INITIALS && !self.initials.contains(&size) {
            self.initials.push(size);
        }
    }

    pub(super) fn update(&mut self, stream: u32, increment: u32) {
        if !self.is_known {
            return;
        }
        if self.n_grants >= MAX_GRANTS {
            self.forget_oldest();
        }
        self.n_grants += 1;
        let sums = match stream {
            0 => &mut self.connection,
            _ => self.streams.entry(stream).or_default(),
        };
        let sum = sums.last().copied().unwrap_or(0);
        sums.push(sum.saturating_add(u64::from(increment)));
    }

    /// Since which offset the sender stood, if it did.
    pub(super) fn used_up(&self, at: &Standing) -> Option<u64> {
        if self.connection.binary_search(&at.of_connection).is_ok() {
            return Some(at.since_connection);
        }
        let sums = self.streams.get(&at.stream).map_or(&[][..], Vec::as_slice);
        let is_sum = |initial: &u64| match at.of_stream.checked_sub(*initial) {
            None => false,
            Some(0) => true,
            Some(more) => sums.binary_search(&more).is_ok(),
        };
        (at.of_stream > 0 && self.initials.iter().any(is_sum)).then_some(at.since_stream)
    }

    /// Forgets what can't be reached again: sums below what was sent, streams that are over.
    pub(super) fn prune(&mut self, of_connection: u64, over: impl Iterator<Item = u32>) {
        let n = self.connection.partition_point(|sum| *sum < of_connection);
        let n = n.min(self.connection.len().saturating_sub(1));
        self.connection.drain(..n);
        over.for_each(|stream| drop(self.streams.remove(&stream)));
        self.count();
    }

    /// Grants of streams that are over keep coming; the oldest streams are so most surely.
    fn forget_oldest(&mut self) {
        let middle = self.streams.keys().nth(self.streams.len() / 2).copied().unwrap_or(0);
        self.streams = self.streams.split_off(&middle);
        let n = self.connection.len() / 2;
        self.connection.drain(..n);
        self.count();
    }

    fn count(&mut self) {
        self.n_grants = self.connection.len() + self.streams.values().map(Vec::len).sum::<usize>();
    }
}
