//! Walks JSON documents that follow one another, unit by unit (a trace, a resource's spans), so that a long document is never
//! held whole. Behind what is no JSON it goes on at the next line that begins a document. Never looks into a unit.

use super::losses::Losses;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// Where the units of a document lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Keys of arrays of units.
    pub(super) arrays: &'static [&'static str],
    /// Keys that make the document itself a unit.
    pub(super) own: &'static [&'static str],
}

/// Hands every unit in `source` to `each`. An error is the operating system's, or that of what decompresses.
pub(super) fn walk(
    source: impl Read,
    shape: Shape,
    losses: &mut Losses,
    each: &mut dyn FnMut(Value, &mut Losses),
) -> (u64, Option<io::Error>) {
    let mut text = Text::new(source);
    loop {
        match text.next_document() {
            Ok(true) => {}
            Ok(false) => return (text.offset, None),
            Err(error) => return (text.offset, Some(error)),
        }
        let (begin, mut n_units) = (text.offset, 0_u64);
        let mut unit = |value: Value, losses: &mut Losses| {
            n_units += 1;
            each(value, losses);
        };
        let document = Document { shape, losses, each: &mut unit };
        let mut reader = serde_json::Deserializer::from_reader(&mut text);
        let walked = document.deserialize(&mut reader);
        drop(reader);
        match walked {
            Ok(()) if n_units == 0 => losses.add_at("unknown-document", 1, begin),
            Ok(()) => {}
            Err(error) if text.failed.is_some() => {
                let error = text.failed.take().unwrap_or_else(|| error.into());
                return (text.offset, Some(error));
            }
            Err(error) if error.is_eof() => losses.add_at("cut-document", 1, begin),
            Err(_) => {
                losses.add_at("malformed-document", 1, begin);
                let from = text.offset;
                if let Err(error) = text.skip_to_document() {
                    return (text.offset, Some(error));
                }
                losses.add_at("skipped-bytes", text.offset.saturating_sub(from) as i64, from);
            }
        }
    }
}

/// Bytes handed out one after the other, with one step back.
struct Text<R> {
    source: BufReader<R>,
    offset: u64,
    /// The last two bytes handed out.
    last: [u8; 2],
    again: Option<u8>,
    failed: Option<io::Error>,
}

impl<R: Read> Text<R> {
    fn new(source: R) -> Self {
        let source = BufReader::with_capacity(256 << 10, source);
        Text { source, offset: 0, last: [b'\n'; 2], again: None, failed: None }
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = match self.again.take() {
            Some(byte) => Some(byte),
            None => match self.source.fill_buf()?.first().copied() {
                Some(byte) => {
                    self.source.consume(1);
                    Some(byte)
                }
                None => None,
            },
        };
        if let Some(byte) = byte {
            self.offset += 1;
            self.last = [self.last[1], byte];
        }
        Ok(byte)
    }

    fn step_back(&mut self, byte: u8) {
        self.again = Some(byte);
        self.offset -= 1;
        self.last = [b'\n', self.last[0]];
    }

    /// Whether anything but white space (and a byte order mark) follows.
    fn next_document(&mut self) -> io::Result<bool> {
        while let Some(byte) = self.byte()? {
            let is_mark = self.offset <= 3 && matches!(byte, 0xef | 0xbb | 0xbf);
            // Sequences of documents may be set apart by commas or record separators (RFC 7464).
            if !is_mark && !byte.is_ascii_whitespace() && !matches!(byte, 0x1e | b',') {
                self.step_back(byte);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Up to a line that begins with a brace or bracket, which may be the one that was just begun.
    fn skip_to_document(&mut self) -> io::Result<()> {
        loop {
            if let [b'\n', byte @ (b'{' | b'[')] = self.last {
                self.step_back(byte);
                return Ok(());
            }
            if self.byte()?.is_none() {
                return Ok(());
            }
        }
    }
}

impl<R: Read> Read for &mut Text<R> {
    /// One byte: what is behind a document is not taken.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = buffer.first_mut() else { return Ok(0) };
        match self.byte() {
            Ok(Some(byte)) => {
                *first = byte;
                Ok(1)
            }
            Ok(None) => Ok(0),
            Err(error) => {
                let again = io::Error::new(error.kind(), error.to_string());
                self.failed = Some(error);
                Err(again)
            }
        }
    }
}

type Each<'a> = dyn FnMut(Value, &mut Losses) + 'a;

/// A document, or an array of them.
struct Document<'a, 'b> {
    shape: Shape,
    losses: &'a mut Losses,
    each: &'a mut Each<'b>,
}

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document of spans")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Document { shape, losses, each } = self;
        let mut own = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if shape.arrays.contains(&key.as_str()) {
                map.next_value_seed(Units { losses, each })?;
            } else if shape.own.contains(&key.as_str()) {
                own.insert(key, map.next_value::<Value>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if shape.own.iter().any(|key| own.contains_key(*key)) {
            each(Value::Object(own), losses);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Document { shape, losses, each } = self;
        while seq.next_element_seed(Document { shape, losses, each: &mut *each })?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

/// An array of units; anything else is none.
struct Units<'a, 'b> {
    losses: &'a mut Losses,
    each: &'a mut Each<'b>,
}

impl<'de> DeserializeSeed<'de> for Units<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Units<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(unit) = seq.next_element::<Value>()? {
            (self.each)(unit, self.losses);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { arrays: &["data"], own: &["spans"] };

    /// The units in `text` as JSON, and the losses as `cause count`.
    fn check(text: &str, units: &[&str], lost: &[&str]) {
        let (mut found, mut losses) = (Vec::new(), Losses::new("x".into()));
        let (_, failed) =
            walk(text.as_bytes(), SHAPE, &mut losses, &mut |unit, _| found.push(unit.to_string()));
        assert!(failed.is_none());
        assert_eq!(found, units, "{text:.200}");
        let rows = losses.rows.iter().map(|row| format!("{} {}", row.cause, row.count));
        assert_eq!(rows.collect::<Vec<_>>(), lost, "{text:.200}");
    }

    #[test]
    fn documents_follow_one_another_in_any_way() {
        check("", &[], &[]);
        check(r#"{"data":[1,2],"total":3}"#, &["1", "2"], &[]);
        check("{\"data\":[1]}{\"data\":[2]}\n\n{\"data\":[3]}", &["1", "2", "3"], &[]);
        check("\u{feff}{\"spans\":[7],\"data\":[1]}", &["1", r#"{"spans":[7]}"#], &[]);
        check(r#"[{"data":[1]},{"data":[2]}]"#, &["1", "2"], &[]);
    }

    #[test]
    fn what_is_no_document_is_counted() {
        check("{}", &[], &["unknown-document 1"]);
        check(r#"7 "x" null"#, &[], &["unknown-document 3"]);
        check(r#"{"data":{"a":[1]}}"#, &[], &["unknown-document 1"]);
        check(r#"{"data":[1,"#, &["1"], &["cut-document 1"]);
        check(
            "{\"data\":[1,?}\n{\"data\":[2]}",
            &["1", "2"],
            &["malformed-document 1", "skipped-bytes 2"],
        );
        check("{\"data\":[\"a\n{\"data\":[2]}", &["2"], &["malformed-document 1"]);
        check("{\"data\":[1],\n{\"data\":[2]}", &["1", "2"], &["malformed-document 1"]);
        check("x", &[], &["malformed-document 1"]);
    }

    #[test]
    fn nesting_without_end_is_malformed() {
        let deep = format!("{{\"data\":[{}", "[".repeat(100_000));
        check(
            &format!("{deep}\n{{\"data\":[2]}}"),
            &["2"],
            &["malformed-document 1", "skipped-bytes 99875"],
        );
    }
}
