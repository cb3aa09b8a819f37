//! Maskers of many streams, bounded: what was not used for long is forgotten, and masked as a stream joined in its middle when
//! it speaks again. Never keeps a payload byte.

use afterpath_formats::mask::{Kept, Mode, StreamMask};
use std::collections::HashMap;
use std::hash::Hash;

/// Streams remembered at least; twice as many at most.
const N_STREAMS: usize = 16_384;

/// A stream's masker and its place.
pub(super) struct Stream {
    mask: StreamMask,
    /// Offset that 32-bit sequence numbers are unwrapped against, or where the next byte stands.
    at: u64,
    /// Events lost when it was begun.
    n_lost: u64,
}

/// Streams by key, in two generations.
pub(super) struct Streams<K> {
    young: HashMap<K, Stream>,
    old: HashMap<K, Stream>,
}

/// Offsets begin here, so that a number a little before the first one is none below zero.
const FIRST: u64 = 1 << 40;

impl Stream {
    /// A direction whose first byte has number `first`.
    pub(super) fn opened(mode: Mode, first: u32) -> Stream {
        let at = FIRST | u64::from(first);
        Stream { mask: StreamMask::opened(mode, at), at, n_lost: 0 }
    }

    /// A direction that is older than the recording, or not known to be younger.
    pub(super) fn joined(mode: Mode, near: u32) -> Stream {
        Stream { mask: StreamMask::joined(mode), at: FIRST | u64::from(near), n_lost: 0 }
    }

    /// It was begun when so many events were lost.
    pub(super) fn by(self, n_lost: u64) -> Stream {
        Stream { n_lost, ..self }
    }

    /// Whether more are lost by now.
    pub(super) fn is_behind(&self, n_lost: u64) -> bool {
        self.n_lost != n_lost
    }

    /// Where the next byte stands, of a stream without numbers.
    pub(super) fn next(&self) -> u32 {
        self.at as u32
    }

    /// Masks the first `bytes` of `length`, the first of them with this number.
    pub(super) fn mask(&mut self, sequence: u32, bytes: &mut [u8], length: u32) -> Kept {
        let offset = self.offset(sequence);
        self.at = self.at.max(offset + u64::from(length));
        self.mask.mask(offset, bytes, length)
    }

    /// The same without going forward: the bytes come again.
    pub(super) fn peek(&self, sequence: u32, bytes: &mut [u8], length: u32) -> Kept {
        self.mask.clone().mask(self.offset(sequence), bytes, length)
    }

    fn offset(&self, sequence: u32) -> u64 {
        let distance = i64::from(sequence.wrapping_sub(self.at as u32) as i32);
        self.at.saturating_add_signed(distance)
    }
}

impl<K: Eq + Hash> Streams<K> {
    pub(super) fn new() -> Streams<K> {
        Streams { young: HashMap::new(), old: HashMap::new() }
    }

    /// Begins a stream anew.
    pub(super) fn insert(&mut self, key: K, stream: Stream) {
        self.old.remove(&key);
        self.young.insert(key, stream);
        if self.young.len() >= N_STREAMS {
            self.old = std::mem::take(&mut self.young);
        }
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// The stream of this key; one that is not remembered is what `joined` makes.
    pub(super) fn get(&mut self, key: K, joined: impl FnOnce() -> Stream) -> &mut Stream
    where
        K: Clone,
    {
        if !self.young.contains_key(&key) {
            let stream = self.old.remove(&key).unwrap_or_else(joined);
            self.insert(key.clone(), stream);
        }
        // An insertion may just have made it old.
        let place = if self.young.contains_key(&key) { &mut self.young } else { &mut self.old };
        place.get_mut(&key).expect("it was inserted above")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap() {
        let mut stream = Stream::opened(Mode::Masked, u32::MAX - 2);
        let mut first = *b"GET / HT";
        assert_eq!(stream.mask(u32::MAX - 2, &mut first, 8).bytes, 8);
        let mut rest = *b"TP/1.1\r\ncookie: ab\r\n\r\n";
        assert_eq!(stream.mask(5, &mut rest, 22).bytes, 22);
        assert_eq!(&rest, b"TP/1.1\r\ncookie: **\r\n\r\n");
        let mut again = *b"cookie: ab";
        assert_eq!(
            stream.mask(13, &mut again, 10).bytes,
            0,
            "it came before, and nothing begins there"
        );
    }

    #[test]
    fn what_is_forgotten_is_joined() {
        let mut streams = Streams::new();
        for key in 0..3 * N_STREAMS {
            streams.insert(key, Stream::opened(Mode::Masked, 0));
        }
        let joined = || Stream::joined(Mode::Masked, 0);
        let mut text = *b"secret";
        assert_eq!(streams.get(0, joined).mask(0, &mut text, 6).bytes, 0);
        let mut text = *b"text at a beginning";
        assert_eq!(streams.get(3 * N_STREAMS - 1, joined).mask(0, &mut text, 19).bytes, 19);
        assert!(streams.young.len() + streams.old.len() <= 2 * N_STREAMS);
    }
}
