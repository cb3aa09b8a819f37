//! JSON Lines in which text from the network is exact and harmless: what [`is_harmful`] names is written as `\uXXXX`.
//! Never changes a value: a JSON reader gets back every character.

use super::harmless::is_harmful;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// Writes `value` as one line.
pub(super) fn line<T: Serialize>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless))?;
    out.write_all(b"\n")
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        text: &str,
    ) -> io::Result<()> {
        // Nearly all text is printable ASCII; only the rest is looked at character by character.
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return out.write_all(text.as_bytes());
        }
        let mut written = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_harmful(*c)) {
            out.write_all(&text.as_bytes()[written..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            written = at + c.len_utf8();
        }
        out.write_all(&text.as_bytes()[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &str, expected: &str) {
        let mut out = Vec::new();
        line(&mut out, &value).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        check("a\x1b\u{9b}\u{202e}\"", r#""a\u001b\u009b\u202e\"""#);
        check("\u{e0041}é", r#""\udb40\udc41é""#);
    }

    proptest! {
        #[test]
        fn every_string_survives_and_nothing_harmful_is_written(text in any::<String>()) {
            let mut out = Vec::new();
            line(&mut out, &text).unwrap();
            let written = String::from_utf8(out).unwrap();
            prop_assert!(!written.trim_end_matches('\n').chars().any(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
