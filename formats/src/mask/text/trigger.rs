//! The bytes at which a text is looked at: each ends or begins something that names a credential. Everything between them is
//! passed over in blocks. It never decides what a trigger means.

/// Whether a text is looked at here: `key=`, `key:`, `eyJ`, `AKIA`, `PRIVATE K`, `Bearer`, SQL quotes, elements, lines.
const fn is_trigger(byte: u8) -> bool {
    matches!(byte, b'=' | b':' | b'J' | b'A' | b'K' | b'B' | b'b' | b'\'' | b'>' | b'\n')
}

/// [`is_trigger`] as a table.
const TRIGGERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_trigger(byte as u8);
        byte += 1;
    }
    table
};

/// Bytes that are compared at once.
const BLOCK: usize = 32;

/// Where the first trigger is.
pub(in super::super) fn next(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for block in bytes.as_chunks::<BLOCK>().0 {
        // Compiles to vector comparisons: no branch inside.
        if block.iter().fold(false, |any, &byte| any | is_trigger(byte)) {
            break;
        }
        at += BLOCK;
    }
    bytes[at..].iter().position(|&byte| TRIGGERS[usize::from(byte)]).map(|n| at + n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_plain_search_finds() {
        for length in 0..200 {
            let mut text = vec![b'.'; length];
            assert_eq!(next(&text), None);
            for at in 0..length {
                text[at] = b'=';
                assert_eq!(next(&text), Some(at));
                text[at] = b'.';
            }
        }
    }
}
