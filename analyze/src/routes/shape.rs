//! What a path's segment looks like by itself: a name that somebody chose, or an id that a machine gave. Never looks at its neighbours.

/// Hexadecimal digits that are no word.
const LONG_HEX: usize = 8;
/// Letters and digits mixed at such length are a token.
const LONG_TOKEN: usize = 16;

/// What stands in a route for it; `None`: the segment itself.
pub(super) fn of(segment: &str) -> Option<&'static str> {
    let bytes = segment.as_bytes();
    let n_digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if bytes.is_empty() || n_digits == 0 {
        return bytes.contains(&b'@').then_some("{email}");
    }
    if is_date(bytes) {
        return Some("{date}");
    }
    let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b',' | b'_');
    let is_version =
        bytes[0] == b'v' && bytes[1..].iter().all(|b| b.is_ascii_digit() || *b == b'.');
    if is_version {
        return None;
    }
    let is_hex = bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    let is_token =
        bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'=' | b'~'));
    // `ord_8123`, `item-17`: a word and a number.
    let n_tail = bytes.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let head = &bytes[..bytes.len() - n_tail];
    let is_numbered = n_tail > 0 && matches!(head.last(), Some(b'-' | b'_' | b':' | b'.'));
    let is_id = bytes.iter().all(is_number)
        || (is_hex && bytes.len() >= LONG_HEX)
        || (is_token && bytes.len() >= LONG_TOKEN && n_digits >= 3 && !is_words(bytes))
        || is_numbered
        || n_tail >= 4;
    is_id.then_some("{id}").or(bytes.contains(&b'@').then_some("{email}"))
}

/// `2024-01-31`, `20240131` only with its dashes: other numbers look the same.
fn is_date(bytes: &[u8]) -> bool {
    let is_shape = bytes.len() >= 10 && bytes[4] == b'-' && bytes[7] == b'-';
    is_shape && [0, 1, 2, 3, 5, 6, 8, 9].iter().all(|&at| bytes[at].is_ascii_digit())
}

/// Words with dashes between them, some with a digit: `how-to-use-ipv6-at-home`.
fn is_words(bytes: &[u8]) -> bool {
    let mut words = bytes.split(|byte| matches!(byte, b'-' | b'_'));
    bytes.iter().any(|byte| matches!(byte, b'-' | b'_'))
        && words.all(|word| word.iter().filter(|byte| byte.is_ascii_digit()).count() <= 2)
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn ids_and_names() {
        for id in [
            "8123",
            "-1",
            "10.0.0.1",
            "550e8400-e29b-41d4-a716-446655440000",
            "5f2b9c1d",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "ord_8123",
            "item-17",
            "user8123",
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9",
        ] {
            assert_eq!(of(id), Some("{id}"), "{id}");
        }
        assert_eq!(of("2024-01-31"), Some("{date}"));
        assert_eq!(of("bob7@example.org"), Some("{email}"));
        for name in [
            "cart",
            "v1",
            "v2.1",
            "oauth2",
            "s3",
            "deadbeef",
            "index.html",
            "how-to-use-ipv6-at-home",
            "",
        ] {
            assert_eq!(of(name), None, "{name}");
        }
    }
}
