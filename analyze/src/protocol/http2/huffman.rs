//! HPACK's Huffman code (RFC 7541, 5.2 and Appendix B), decoded symbol by symbol: short codes by one look-up, longer ones by their length. Never
//! allocates more than it is allowed to.

use afterpath_formats::mask::HUFFMAN as CODE;

/// Codes of at most so many bits are found by one look-up; text has hardly any longer.
const FAST_BITS: u32 = 9;
const LONGEST: usize = 30;

/// By the next bits: symbol and length; length 0: a longer code.
static FAST: [(u8, u8); 1 << FAST_BITS] = {
    let mut fast = [(0, 0); 1 << FAST_BITS];
    let mut length = 1;
    while length <= FAST_BITS as usize {
        let spare = FAST_BITS - length as u32;
        let mut nth = 0;
        while nth < CODE.n[length] as usize {
            let symbol = CODE.symbols[CODE.place[length] as usize + nth];
            let first = (CODE.first[length] as usize + nth) << spare;
            let mut rest = 0;
            while rest < 1 << spare {
                fast[first | rest] = (symbol as u8, length as u8);
                rest += 1;
            }
            nth += 1;
        }
        length += 1;
    }
    fast
};

/// Appends the text of `bytes` to `out`, at most `most` bytes of it; false: these are no codes, or the padding is none.
pub(super) fn decode(bytes: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
    let (mut bits, mut n_bits, mut next) = (0_u64, 0_u32, 0);
    for _ in 0..most {
        while n_bits <= 56 && next < bytes.len() {
            bits |= u64::from(bytes[next]) << (56 - n_bits);
            (n_bits, next) = (n_bits + 8, next + 1);
        }
        let (mut symbol, mut length) = FAST[(bits >> (64 - FAST_BITS)) as usize];
        if length == 0 {
            match longer((bits >> 32) as u32) {
                Some(found) => (symbol, length) = found,
                None => return is_padding(bits, n_bits),
            }
        }
        if u32::from(length) > n_bits {
            return is_padding(bits, n_bits);
        }
        out.push(symbol);
        bits <<= length;
        n_bits -= u32::from(length);
    }
    true
}

/// What is left of a string: less than a byte of ones (RFC 7541, 5.2).
fn is_padding(bits: u64, n_bits: u32) -> bool {
    n_bits < 8 && (n_bits == 0 || bits >> (64 - n_bits) == (1 << n_bits) - 1)
}

/// Symbol and length of a code longer than the table's; the end of string is no symbol of one.
fn longer(bits: u32) -> Option<(u8, u8)> {
    for length in FAST_BITS as usize + 1..=LONGEST {
        let nth = (bits >> (32 - length)).wrapping_sub(CODE.first[length]);
        if nth < u32::from(CODE.n[length]) {
            let symbol = CODE.symbols[usize::from(CODE.place[length]) + nth as usize];
            return u8::try_from(symbol).ok().map(|symbol| (symbol, length as u8));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::laws::Dice;

    #[test]
    fn texts_of_the_standard() {
        // RFC 7541, C.4.1, C.4.3, C.6.1.
        for (bytes, expected) in [
            (
                &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff][..],
                "www.example.com",
            ),
            (&[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf], "custom-value"),
            (&[0xae, 0xc3, 0x77, 0x1a, 0x4b], "private"),
        ] {
            let mut out = Vec::new();
            assert!(decode(bytes, 100, &mut out));
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn whatever_is_encoded_comes_back() {
        let mut dice = Dice::new(5);
        for n in 0..300 {
            let text: Vec<u8> = (0..n).map(|_| dice.byte()).collect();
            let mut out = Vec::new();
            assert!(decode(&CODE.encode(&text), usize::MAX, &mut out));
            assert_eq!(out, text);
            out.clear();
            assert!(decode(&CODE.encode(&text), 3, &mut out) && out.len() <= 3);
        }
    }

    #[test]
    fn what_is_no_code_is_said() {
        let mut out = Vec::new();
        assert!(!decode(&[0xff, 0xff, 0xff, 0xff], 100, &mut out), "the end of string");
        assert!(!decode(&[0b0000_0000], 100, &mut out), "padding of zeros");
    }
}
