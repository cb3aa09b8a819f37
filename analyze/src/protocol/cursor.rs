//! One cursor over bytes for all parsers: reads big- and little-endian fields, never panics, never allocates.

/// A position in a byte slice. Reads past the end give `None` and leave the position where it was.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.position..]
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.position.checked_add(n)?;
        let taken = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// Two bytes, network order.
    pub fn u16_be(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    /// Three bytes, network order.
    pub fn u24_be(&mut self) -> Option<u32> {
        self.take(3).map(|b| u32::from_be_bytes([0, b[0], b[1], b[2]]))
    }

    /// Four bytes, network order.
    pub fn u32_be(&mut self) -> Option<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The bytes up to, not including, the next `delimiter`, which is skipped.
    pub fn until(&mut self, delimiter: u8) -> Option<&'a [u8]> {
        let length = self.rest().iter().position(|&b| b == delimiter)?;
        let taken = &self.rest()[..length];
        self.position += length + 1;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn reads_past_the_end_leave_the_position() {
        let mut cursor = Cursor::new(&[1, 2, 3]);
        assert_eq!(cursor.u16_be(), Some(0x0102));
        assert_eq!(cursor.u32_be(), None);
        assert_eq!(cursor.until(9), None);
        assert_eq!(cursor.rest(), &[3]);
    }
}
