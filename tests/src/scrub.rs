//! Overwrites the testbed's ids in a bundle, at equal length, and looks for what is left of them: the planted headers are what
//! the truth is joined by, and would give a linker the answer. Never touches a byte outside the ids and the checksums over them.

use crate::rewrite;
use crate::truth::Truth;
use afterpath_formats::frame::{self, Headers, LinkType};
use afterpath_formats::table;
use anyhow::{Result, bail};
use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, LargeBinaryArray, RecordBatch, StringArray,
};
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Hexadecimal digits of a span id, which is half of a request id: nothing so long may be left.
pub const HALF: usize = 16;

/// The halves of all ids.
#[derive(Debug, Default)]
pub struct Secrets(HashSet<[u8; HALF]>);

impl Secrets {
    /// All ids of a recording's truth.
    pub fn of(truth: &Truth) -> Secrets {
        let mut halves = HashSet::new();
        for request in &truth.requests {
            let calls = request.calls.iter().map(|call| call.call_id.as_bytes());
            for id in calls.chain([request.request_id.as_bytes()]) {
                let of_hex = |half: &&[u8]| half.iter().all(u8::is_ascii_hexdigit);
                let halves_of = id.chunks_exact(HALF).filter(of_hex);
                halves.extend(halves_of.filter_map(|half| <[u8; HALF]>::try_from(half).ok()));
            }
        }
        Secrets(halves)
    }

    /// Where halves begin in `bytes`.
    pub fn places(&self, bytes: &[u8]) -> Vec<usize> {
        let mut found = Vec::new();
        let mut digits = 0;
        for (at, byte) in bytes.iter().enumerate() {
            digits = if byte.is_ascii_hexdigit() { digits + 1 } else { 0 };
            if digits >= HALF {
                let mut half = [0; HALF];
                half.copy_from_slice(&bytes[at + 1 - HALF..=at]);
                half.make_ascii_lowercase();
                if self.0.contains(&half) {
                    found.push(at + 1 - HALF);
                }
            }
        }
        found
    }

    /// Fills every half with zeros; whether there was one.
    fn overwrite(&self, bytes: &mut [u8]) -> bool {
        let places = self.places(bytes);
        places.iter().for_each(|&at| bytes[at..at + HALF].fill(b'0'));
        !places.is_empty()
    }
}

/// Scrubs a bundle in place: its tables are written again, and the manifest says so.
///
/// # Errors
/// When it can't be read or written, or something is left.
pub fn scrub(bundle: &Path, secrets: &Secrets) -> Result<()> {
    rewrite::tables(bundle, |_, batch| {
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let scrubbed =
            columns.map(|(field, column)| scrubbed(column, secrets, field.name() == "frame"));
        Ok(RecordBatch::try_new(schema.clone(), scrubbed.collect::<Result<_>>()?)?)
    })?;
    match left(bundle, secrets)?.as_slice() {
        [] => Ok(()),
        [first, ..] => bail!("ids are left in {first}"),
    }
}

/// The columns (`file column`) of a bundle that still hold half an id: every decompressed byte is looked at.
///
/// # Errors
/// When it can't be read.
pub fn left(bundle: &Path, secrets: &Secrets) -> Result<Vec<String>> {
    let manifest = rewrite::manifest(bundle)?;
    let mut found = Vec::new();
    for entry in &manifest.files {
        let file = File::open(bundle.join(&entry.path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
        for batch in reader.with_batch_size(table::ROW_GROUP_ROWS).build()? {
            let batch = batch?;
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                if holds(&column.to_data(), secrets) {
                    found.push(format!("{} {}", entry.path, field.name()));
                }
            }
        }
    }
    Ok(found)
}

fn holds(data: &ArrayData, secrets: &Secrets) -> bool {
    data.buffers().iter().any(|buffer| !secrets.places(buffer.as_slice()).is_empty())
        || data.child_data().iter().any(|child| holds(child, secrets))
}

/// A column without ids, also those that lie across two values: one half read by each of two calls. Numbers stay as they are.
fn scrubbed(column: &ArrayRef, secrets: &Secrets, is_frame: bool) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Binary => {
            let values = column.as_binary::<i32>();
            Arc::new(clean(values.iter(), secrets, is_frame).into_iter().collect::<BinaryArray>())
        }
        DataType::LargeBinary => {
            let values = column.as_binary::<i64>();
            let cleaned = clean(values.iter(), secrets, is_frame);
            Arc::new(cleaned.into_iter().collect::<LargeBinaryArray>())
        }
        DataType::Utf8 => {
            let values = column.as_string::<i32>();
            let cleaned = clean(values.iter().map(|v| v.map(str::as_bytes)), secrets, false);
            let texts = cleaned.into_iter().map(|value| value.map(String::from_utf8).transpose());
            Arc::new(texts.collect::<Result<StringArray, _>>()?)
        }
        _ => column.clone(),
    })
}

fn clean<'a>(
    values: impl Iterator<Item = Option<&'a [u8]>>,
    secrets: &Secrets,
    is_frame: bool,
) -> Vec<Option<Vec<u8>>> {
    let values: Vec<Option<&[u8]>> = values.collect();
    let mut all: Vec<u8> = values.iter().flatten().copied().flatten().copied().collect();
    secrets.overwrite(&mut all);
    let mut at = 0;
    let mut cleaned = Vec::with_capacity(values.len());
    for value in values {
        let Some(before) = value else {
            cleaned.push(None);
            continue;
        };
        let mut after = all[at..at + before.len()].to_vec();
        at += before.len();
        if is_frame && after != before {
            Checksum::of(before).into_iter().for_each(|checksum| checksum.mend(&mut after));
        }
        cleaned.push(Some(after));
    }
    cleaned
}

/// A TCP checksum that was right, and what it covers.
struct Checksum {
    headers: Headers,
    tcp: usize,
}

impl Checksum {
    /// That of an Ethernet frame, where the frame is whole and its checksum right (one left to the card is not).
    fn of(frame: &[u8]) -> Option<Checksum> {
        let headers = frame::decode(LinkType::Ethernet, frame, frame.len() as u32);
        let payload = headers.payload_offset as usize;
        let whole = payload + headers.payload_length as usize <= frame.len();
        let lengths = (20..=60).step_by(4).filter(|_| whole);
        let mut possible = lengths.filter_map(|length| {
            let tcp = payload.checked_sub(length)?;
            (usize::from(*frame.get(tcp + 12)? >> 4) * 4 == length).then_some(tcp)
        });
        possible
            .find(|&tcp| sum(frame, tcp, &headers) == Some(0xFFFF))
            .map(|tcp| Checksum { headers, tcp })
    }

    fn mend(&self, frame: &mut [u8]) {
        frame[self.tcp + 16..self.tcp + 18].fill(0);
        if let Some(sum) = sum(frame, self.tcp, &self.headers) {
            frame[self.tcp + 16..self.tcp + 18].copy_from_slice(&(0xFFFF - sum).to_be_bytes());
        }
    }
}

/// The Internet checksum's sum over a segment and its pseudo header (RFC 9293 section 3.1): 0xFFFF when it is right.
fn sum(frame: &[u8], tcp: usize, headers: &Headers) -> Option<u16> {
    let network = headers.network?;
    let end = headers.payload_offset as usize + headers.payload_length as usize;
    let segment = frame.get(tcp..end)?;
    let width = if network.family == 4 { 4 } else { 16 };
    let mut total = 6 + segment.len() as u64;
    for bytes in [&network.source[..width], &network.destination[..width], segment] {
        for pair in bytes.chunks(2) {
            total += u64::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u64::from);
        }
    }
    while total >> 16 > 0 {
        total = (total & 0xFFFF) + (total >> 16);
    }
    Some(total as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_is_found_wherever_it_stands_and_nothing_else_is() {
        let half = *b"0123456789abcdef";
        let secrets = Secrets([half].into());
        let check = |text: &[u8], expected: &[usize]| assert_eq!(secrets.places(text), expected);
        check(b"x-id: 0123456789ABCDEF\r\n", &[6]);
        check(b"ffff0123456789abcdefff", &[4]);
        check(b"0123456789abcde", &[]);
        check(b"123456789abcdef0", &[]);
        let mut text = *b"a 0123456789abcdef b";
        assert!(secrets.overwrite(&mut text));
        assert_eq!(&text, b"a 0000000000000000 b");
    }
}
