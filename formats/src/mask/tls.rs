//! TLS records (RFC 8446, 5.1): nothing in them can be read, so they are kept; what is checked is that they are TLS. It never
//! looks into a record.

use super::pen::Pen;

/// One direction of a TLS connection.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    head: [u8; 5],
    n_head: u8,
    left: u64,
    is_lost: bool,
}

/// Application data.
const DATA: u8 = 23;

impl Tls {
    pub(super) fn new() -> Self {
        Self { head: [0; 5], n_head: 0, left: 0, is_lost: false }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn feed(&mut self, bytes: &mut [u8], pen: &mut Pen) {
        let mut at = 0;
        while at < bytes.len() {
            if self.is_lost {
                pen.withhold(&mut bytes[at..]);
                return;
            }
            if self.left > 0 {
                let left = usize::try_from(self.left).unwrap_or(usize::MAX);
                let n = left.min(bytes.len() - at);
                if pen.heads_only && self.head[0] == DATA {
                    pen.withhold(&mut bytes[at..at + n]);
                } else {
                    pen.keep(n);
                }
                self.left -= n as u64;
                at += n;
                continue;
            }
            self.head[usize::from(self.n_head)] = bytes[at];
            self.n_head += 1;
            let is_so_far = is_record(&self.head[..usize::from(self.n_head)]);
            if !is_so_far {
                self.is_lost = true;
                continue;
            }
            pen.keep(1);
            at += 1;
            if self.n_head == 5 {
                self.n_head = 0;
                self.left = length(&self.head);
            }
        }
    }

    /// Unseen bytes.
    pub(super) fn skip(&mut self, n: u64) {
        match self.left.checked_sub(n) {
            Some(left) => self.left = left,
            None => self.is_lost = true,
        }
    }
}

fn length(head: &[u8]) -> u64 {
    u64::from(head[3]) << 8 | u64::from(head[4])
}

/// Whether these first bytes of a record's head can be.
pub(super) fn is_record(head: &[u8]) -> bool {
    let may = |at: usize, is_so: fn(u8) -> bool| head.get(at).is_none_or(|&byte| is_so(byte));
    may(0, |kind| (20..=24).contains(&kind))
        && may(1, |major| major == 3)
        && may(2, |minor| minor <= 4)
        && may(3, |high| high <= 0x48)
}

/// Whether records certainly begin here: up to the end of the chunk, or two at least.
pub(super) fn begins(bytes: &[u8], wire_length: u64) -> bool {
    let mut at = 0_u64;
    let mut n = 0;
    while let Some(head) = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(5)?))
    {
        if !is_record(head) {
            return false;
        }
        at += 5 + length(head);
        n += 1;
    }
    n > 0 && (at == wire_length || n > 1)
}

#[cfg(test)]
mod tests {
    use super::super::laws::check_bytes;

    #[test]
    fn records_are_kept() {
        let records = b"\x16\x03\x01\0\x09password=\x17\x03\x03\0\x02ab";
        check_bytes(records, records);
    }
}
