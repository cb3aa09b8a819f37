//! HPACK's Huffman code (RFC 7541, Appendix B), symbol by symbol, and what to write over the rest of a string so that it
//! stays valid. The code is canonical, so its lengths are all there is to know. It never fails: what is no code is said.

/// The length in bits of each symbol's code; 256 is the end of string.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// HPACK's Huffman code (RFC 7541, Appendix B), which is canonical. By length in bits, up to 30: the first code, the place of its symbol among
/// `symbols`, and how many there are. Symbol 256 is the end of string.
pub struct Canonical {
    /// The first code of a length.
    pub first: [u32; 31],
    /// Where the symbol of that code stands.
    pub place: [u16; 31],
    /// How many codes of a length there are.
    pub n: [u16; 31],
    /// Symbols by their codes.
    pub symbols: [u16; 257],
}

/// The code.
pub static CANONICAL: Canonical = {
    let mut table = Canonical { first: [0; 31], place: [0; 31], n: [0; 31], symbols: [0; 257] };
    let (mut length, mut code, mut place) = (1, 0_u32, 0);
    while length <= 30 {
        code <<= 1;
        table.first[length] = code;
        table.place[length] = place as u16;
        let mut symbol = 0;
        while symbol < 257 {
            if LENGTHS[symbol] as usize == length {
                table.symbols[place] = symbol as u16;
                table.n[length] += 1;
                place += 1;
                code += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    table
};

impl Canonical {
    /// A text in this code, filled up with ones (RFC 7541, 5.2). Slow: bit by bit.
    pub fn encode(&self, text: &[u8]) -> Vec<u8> {
        let mut bits = Vec::new();
        for &byte in text {
            let length = usize::from(LENGTHS[usize::from(byte)]);
            let place = usize::from(self.place[length]);
            let among = &self.symbols[place..place + usize::from(self.n[length])];
            let nth = among.iter().take_while(|&&symbol| symbol != u16::from(byte)).count();
            let code = self.first[length] + nth as u32;
            bits.extend((0..length).rev().map(|place| code >> place & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }
}

/// A decoder between two bits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decoder {
    code: u32,
    n_bits: u8,
}

impl Decoder {
    /// One more bit: a symbol, if it ends one; an error if no symbol of a string begins so.
    pub(super) fn bit(&mut self, bit: bool) -> Result<Option<u8>, ()> {
        self.code = self.code << 1 | u32::from(bit);
        self.n_bits += 1;
        let length = usize::from(self.n_bits);
        let nth = self.code.wrapping_sub(CANONICAL.first[length]);
        if nth < u32::from(CANONICAL.n[length]) {
            *self = Self::default();
            let symbol = CANONICAL.symbols[usize::from(CANONICAL.place[length]) + nth as usize];
            return u8::try_from(symbol).map(Some).map_err(|_| ());
        }
        if length == 30 { Err(()) } else { Ok(None) }
    }
}

/// Decodes a whole string into `out`; None if it is none or too long.
pub(super) fn decode<'a>(bytes: &[u8], out: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut decoder = Decoder::default();
    let mut n = 0;
    for &byte in bytes {
        for place in (0..8).rev() {
            if let Some(symbol) = decoder.bit(byte >> place & 1 == 1).ok()? {
                *out.get_mut(n)? = symbol;
                n += 1;
            }
        }
    }
    Some(&out[..n])
}

/// What to write over the rest of a string that is cut behind a symbol: the last `n_bits` (0 to 7) of this byte, then, if
/// `left` bytes follow, the first of them; all others are stars. What comes out is a valid string of the same length.
pub(super) struct Filler {
    /// The last bits of this byte.
    pub(super) bits: u8,
    /// What the next bytes are, as far as they are no stars.
    pub(super) next: &'static [u8],
}

/// Symbols that end with a byte: `0` (5 bits), `-` (6), `:` (7), `?` (10), `|` (11), `#` (12); `0#` has 17.
pub(super) fn filler(n_bits: u8, left: u32) -> Filler {
    let (bits, next): (u8, &'static [u8]) = match (n_bits, left) {
        (5, _) => (0b00000, &[]),
        (6, _) => (0b01_0110, &[]),
        (7, _) => (0b101_1100, &[]),
        // No symbol is so short: the padding of a string's end.
        (1..=4, 0) => ((1 << n_bits) - 1, &[]),
        (4, _) => (0b1111, &[0xfa]),
        (3, _) => (0b111, &[0xfc]),
        (2, _) => (0b11, &[0xfc]),
        (1, 1) => (0, &[0x0f]),
        (1, _) => (0, &[0x0f, 0xfa]),
        _ => (0, &[]),
    };
    Filler { bits, next }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::pen::STAR_IN_HUFFMAN;
    use super::*;

    #[test]
    fn decodes_what_the_standard_encodes() {
        // RFC 7541, C.4.1, C.4.3, C.6.1.
        for (bytes, expected) in [
            (
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
                "www.example.com",
            ),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
            (&[STAR_IN_HUFFMAN; 3], "***"),
        ] {
            let mut out = [0; 64];
            assert_eq!(
                decode(bytes, &mut out).map(<[u8]>::to_vec),
                Some(expected.as_bytes().to_vec())
            );
        }
    }

    #[test]
    fn a_filled_string_is_valid_for_another_decoder() {
        let texts = [
            "", "0", "00", "-", "X", "XX", "?", "a-0", "0X0", "ab", "000", "0-:", "<", "{|}",
            "/path?q=",
        ];
        let mut n_checked = 0;
        for text in texts {
            for secret in ["0", "00", "X-y", "hunter2hunter2", "?", "#|", "a"] {
                let mut bytes = CANONICAL.encode(format!("{text}{secret}").as_bytes());
                let n_bits: usize =
                    text.bytes().map(|byte| usize::from(LENGTHS[usize::from(byte)])).sum();
                let at = n_bits.div_ceil(8);
                let filler = filler((at * 8 - n_bits) as u8, (bytes.len() - at) as u32);
                if at > 0 {
                    let kept = !0 << (at * 8 - n_bits);
                    bytes[at - 1] = (u16::from(bytes[at - 1]) & kept) as u8 | filler.bits;
                }
                for (n, byte) in bytes[at..].iter_mut().enumerate() {
                    *byte = filler.next.get(n).copied().unwrap_or(STAR_IN_HUFFMAN);
                }
                let mut block = vec![0x04, 0x80 | bytes.len() as u8];
                block.extend(&bytes);
                let fields = loona_hpack::Decoder::new().decode(&block).unwrap();
                assert!(fields[0].1.starts_with(text.as_bytes()), "{text} {secret}: {fields:?}");
                n_checked += 1;
            }
        }
        assert_eq!(n_checked, texts.len() * 7);
    }
}
