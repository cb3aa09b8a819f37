//! Domain names (RFC 1035 §4.1.4). Never follows a pointer forwards, so it always ends.

/// Why there is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoName {
    /// The bytes end within it.
    Short,
    /// The bytes are none.
    Illegal,
}

const MAX_NAME: usize = 255;

/// The name at `at` in `packet`, as text without the last dot, and the place after it.
pub(super) fn read(packet: &[u8], at: usize) -> Result<(String, usize), NoName> {
    let (mut name, mut wire_length) = (String::new(), 0);
    let (mut at, mut after) = (at, None);
    loop {
        let length = usize::from(*packet.get(at).ok_or(NoName::Short)?);
        match length {
            0 => break,
            1..64 => {
                let label = packet.get(at + 1..at + 1 + length).ok_or(NoName::Short)?;
                wire_length += length + 1;
                if wire_length >= MAX_NAME {
                    return Err(NoName::Illegal);
                }
                if !name.is_empty() {
                    name.push('.');
                }
                push_label(&mut name, label);
                at += 1 + length;
            }
            192.. => {
                let low = usize::from(*packet.get(at + 1).ok_or(NoName::Short)?);
                let target = ((length & 63) << 8) | low;
                after = after.or(Some(at + 2));
                // Only backwards: that bounds the number of jumps by the packet's length …
                if target >= at || target < 12 {
                    return Err(NoName::Illegal);
                }
                // … and this by the length of a name.
                wire_length += 1;
                at = target;
            }
            _ => return Err(NoName::Illegal),
        }
        if wire_length >= MAX_NAME {
            return Err(NoName::Illegal);
        }
    }
    if name.is_empty() {
        name.push('.');
    }
    Ok((name, after.unwrap_or(at + 1)))
}

/// The place after the name at `at`, without reading it.
pub(super) fn skip(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*packet.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..64 => at += 1 + length,
            192.. => return Some(at + 2).filter(|&end| end <= packet.len()),
            _ => return None,
        }
    }
}

/// RFC 1035 §5.1: what would be misread is written `\DDD`.
fn push_label(name: &mut String, label: &[u8]) {
    for &byte in label {
        match byte {
            b'.' | b'\\' => name.extend(['\\', char::from(byte)]),
            0x21..=0x7e => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\{byte:03}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{NoName, read};

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(&str, usize), NoName>) {
        let packet = [&[0; 12], bytes].concat();
        assert_eq!(read(&packet, 12), expected.map(|(name, after)| (name.to_owned(), after + 12)));
    }

    #[test]
    fn names() {
        check(b"\x03www\x02Ex\0", Ok(("www.Ex", 8)));
        check(b"\0", Ok((".", 1)));
        check(b"\x04a.b\x00\0", Ok(("a\\.b\\000", 6)));
        check(b"\x03www", Err(NoName::Short));
        check(b"\x40", Err(NoName::Illegal));
        check(b"\xc0\x0c", Err(NoName::Illegal));
        check(b"\x01a\xc0\x0c", Err(NoName::Illegal));
        check(b"\xc0\x20", Err(NoName::Illegal));
        check(&[b"\x3f".to_vec(), vec![b'x'; 63]].concat().repeat(4), Err(NoName::Illegal));
    }
}
