//! The pen: every byte of a chunk passes it once, in order, and is kept, overwritten or withheld. It never looks at what a
//! byte means; which of the three it is, the protocols say.

/// What stands for an overwritten byte. In HPACK's Huffman code `*` is eight bits long, so that there, too, an overwritten
/// byte stands for one byte ([`STAR_IN_HUFFMAN`]).
pub const STAR: u8 = b'*';

/// `*` in the Huffman code of RFC 7541, Appendix B: exactly one byte.
pub(super) const STAR_IN_HUFFMAN: u8 = 0xf9;

/// What became of a chunk so far.
#[derive(Debug, Default)]
pub(super) struct Pen {
    passed: usize,
    withheld_from: Option<usize>,
    n_masked: usize,
    /// Only protocol heads are wanted: see [`super::Mode::Heads`].
    pub(super) heads_only: bool,
}

impl Pen {
    pub(super) fn new(heads_only: bool) -> Self {
        Self { heads_only, ..Self::default() }
    }

    /// The next `n` bytes stay as they are.
    pub(super) fn keep(&mut self, n: usize) {
        self.passed += n;
    }

    /// The next bytes are overwritten, except carriage returns and line feeds: no line is made longer by what is hidden.
    pub(super) fn overwrite(&mut self, bytes: &mut [u8]) {
        for byte in &mut *bytes {
            if !matches!(byte, b'\r' | b'\n') {
                *byte = STAR;
                self.count();
            }
        }
        self.passed += bytes.len();
    }

    /// The next bytes become `filler`, whatever they are.
    pub(super) fn fill(&mut self, bytes: &mut [u8], filler: u8) {
        bytes.fill(filler);
        if self.withheld_from.is_none() {
            self.n_masked += bytes.len();
        }
        self.passed += bytes.len();
    }

    /// The next bytes are not to be stored, nor anything behind them in this chunk: nobody knows what they are. They are
    /// overwritten as well, so that a caller who forgets it stores nothing either.
    pub(super) fn withhold(&mut self, bytes: &mut [u8]) {
        if !bytes.is_empty() {
            self.withheld_from.get_or_insert(self.passed);
            bytes.fill(STAR);
            self.passed += bytes.len();
        }
    }

    /// Leading bytes that may be stored, and how many of them were overwritten.
    pub(super) fn outcome(&self) -> (usize, usize) {
        (self.withheld_from.unwrap_or(self.passed), self.n_masked)
    }

    fn count(&mut self) {
        if self.withheld_from.is_none() {
            self.n_masked += 1;
        }
    }
}
