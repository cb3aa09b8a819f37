//! TLS records (RFC 8446 section 5.1) in what a socket received: where each begins and ends, as far as headers can be seen, and which
//! of them a program's read took its plaintext from. Needed where the writer's end was not recorded. Never decrypts.

use std::collections::VecDeque;

/// Bytes of a record's header.
pub(super) const HEADER: u32 = 5;
/// Content type of application data; of TLS 1.3 also that of encrypted handshake messages.
const APPLICATION_DATA: u8 = 23;
/// The longest ciphertext of one record, TLS 1.2's limit.
const MAX_LENGTH: u32 = 16_384 + 2_048;
/// What records are longer than their plaintext: TLS 1.3; AES-GCM and ChaCha20 of TLS 1.2.
const OVERHEADS: [u32; 3] = [17, 24, 16];
/// Records remembered until a read takes them.
const MAX_RECORDS: usize = 4096;

/// A record of application data that lies whole in what was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Record {
    /// Number of its header's first byte.
    begin: u32,
    /// Bytes of its ciphertext.
    length: u32,
}

/// Records of one direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Bytes received and not walked over, in order; cut where they were not recorded.
    tail: Vec<u8>,
    /// Number of the first of `tail`; `None`: where the next record begins is not known.
    at: Option<u32>,
    /// Number behind everything received.
    received: Option<u32>,
    /// Bytes of a record that are still to come.
    skip: u32,
    whole: VecDeque<Record>,
    /// A record that a read took a part of: and how much.
    open: Option<(Record, u32)>,
}

impl Records {
    /// Takes the next bytes that were received: the first of them has this number; `known` of `length`.
    pub(super) fn receive(&mut self, sequence: u32, known: &[u8], length: u32) {
        if self.received != Some(sequence) {
            // Another beginning, or something missed: a read often begins with a record.
            (self.at, self.skip) = (None, 0);
            self.tail.clear();
        }
        self.received = Some(sequence.wrapping_add(length));
        if self.at.is_none() {
            self.at = Some(sequence);
        }
        let skipped = self.skip.min(length);
        self.skip -= skipped;
        if self.skip > 0 {
            return;
        }
        if skipped > 0 {
            self.at = Some(sequence.wrapping_add(skipped));
        }
        let rest = known.get(skipped as usize..).unwrap_or(&[]);
        self.tail.extend_from_slice(rest);
        let is_cut = known.len() < length as usize;
        self.walk(is_cut);
    }

    /// Walks over whole headers in `tail`; behind it lies more that was not recorded when `is_cut`.
    fn walk(&mut self, is_cut: bool) {
        let (Some(mut begin), Some(received)) = (self.at, self.received) else { return };
        let mut used = 0;
        while let Some(header) = self.tail[used..].first_chunk::<5>() {
            let [kind, major, minor, high, low] = *header;
            let length = u32::from(u16::from_be_bytes([high, low]));
            if !(20..=24).contains(&kind) || major != 3 || minor > 4 || length > MAX_LENGTH {
                self.tail.clear();
                self.at = None;
                return;
            }
            let end = begin.wrapping_add(HEADER + length);
            let missing = end.wrapping_sub(received) as i32;
            if kind == APPLICATION_DATA {
                if self.whole.len() >= MAX_RECORDS {
                    self.whole.pop_front();
                }
                self.whole.push_back(Record { begin, length });
            }
            begin = end;
            used += (HEADER + length) as usize;
            if missing > 0 {
                self.skip = missing as u32;
                self.tail.clear();
                self.at = Some(begin);
                return;
            }
            if used > self.tail.len() {
                break;
            }
        }
        if used > self.tail.len() || is_cut {
            // The next header lies in what was not recorded.
            let is_at_end = begin == received;
            self.tail.clear();
            self.at = is_at_end.then_some(begin);
        } else {
            self.tail.drain(..used);
            self.at = Some(begin);
        }
    }

    /// The number of the ciphertext of a read's first byte: `n` bytes of plaintext, `asked` at most. `None` where no record is known
    /// that it could have come from.
    pub(super) fn take(&mut self, n: u32, asked: u32) -> Option<u32> {
        if let Some((record, used)) = self.open.take() {
            self.took(record, used, n, asked);
            return Some(record.begin.wrapping_add(HEADER + used));
        }
        let is_whole = n < asked;
        let received = self.received?;
        let fits = |record: &Record| {
            let more = record.length.checked_sub(n);
            let is_here = received.wrapping_sub(record.begin) >= HEADER + record.length;
            is_here && more.is_some_and(|more| OVERHEADS.contains(&more) || !is_whole && more >= 16)
        };
        // Those before it were no data: tickets, the end of the handshake.
        let found = self.whole.iter().position(fits)?;
        self.whole.drain(..found);
        let record = self.whole.pop_front()?;
        self.took(record, 0, n, asked);
        Some(record.begin.wrapping_add(HEADER))
    }

    fn took(&mut self, record: Record, used: u32, n: u32, asked: u32) {
        let used = used.saturating_add(n);
        let rest = record.length.saturating_sub(used);
        if n == asked && !OVERHEADS.contains(&rest) && rest > 16 {
            self.open = Some((record, used));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let mut bytes = vec![kind, 3, 3];
        bytes.extend(length.to_be_bytes());
        bytes.resize(5 + usize::from(length), 0xaa);
        bytes
    }

    #[test]
    fn tickets_are_not_taken_for_data() {
        let mut records = Records::default();
        let stream: Vec<u8> = [record(23, 250), record(23, 250), record(23, 117)].concat();
        records.receive(1000, &stream, stream.len() as u32);
        assert_eq!(records.take(100, 4096), Some(1000 + 2 * 255 + 5));
    }

    #[test]
    fn headers_and_bodies_may_be_read_apart() {
        let mut records = Records::default();
        let body = record(23, 117);
        records.receive(10, &body[..5], 5);
        assert_eq!(records.take(100, 200), None);
        records.receive(15, &body[5..20], 117);
        assert_eq!(records.take(100, 200), Some(15));
        records.receive(132, &record(23, 27), 32);
        assert_eq!(records.take(10, 200), Some(137));
    }

    #[test]
    fn a_record_can_be_read_in_parts() {
        let mut records = Records::default();
        let stream = [record(23, 117), record(23, 22)].concat();
        records.receive(0, &stream, stream.len() as u32);
        assert_eq!([records.take(60, 60), records.take(40, 60)], [Some(5), Some(65)]);
        assert_eq!(records.take(5, 60), Some(122 + 5));
    }

    #[test]
    fn behind_bytes_that_were_not_recorded_a_read_is_a_new_beginning() {
        let mut records = Records::default();
        let stream = [record(23, 117), record(23, 22)].concat();
        records.receive(0, &stream[..50], stream.len() as u32);
        records.receive(stream.len() as u32, &record(23, 67), 72);
        assert_eq!(records.take(100, 200), Some(5));
        assert_eq!(records.take(50, 200), Some(stream.len() as u32 + 5));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            reads in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..60), 0u32..100, 0u32..300), 0..20)
        ) {
            let mut records = Records::default();
            for (sequence, bytes, more, n) in reads {
                records.receive(sequence, &bytes, bytes.len() as u32 + more);
                let _ = records.take(n, n + more);
            }
        }
    }
}
