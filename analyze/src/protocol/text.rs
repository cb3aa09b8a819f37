//! Bytes off the wire as bounded text. Never fails: what is not UTF-8 becomes the replacement character.

/// `bytes` as text of at most `max_bytes` bytes, cut at a character's boundary.
pub fn bounded(bytes: &[u8], max_bytes: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(max_bytes)]).into_owned();
    text.truncate(text.floor_char_boundary(max_bytes));
    text
}

#[cfg(test)]
mod tests {
    use super::bounded;

    #[test]
    fn is_cut_at_a_characters_boundary() {
        assert_eq!(bounded(b"abcdef", 4), "abcd");
        assert_eq!(bounded(b"a\xff\xff", 4), "a\u{fffd}");
        assert_eq!(bounded("é".as_bytes(), 2), "é");
    }
}
