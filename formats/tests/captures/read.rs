//! Reading: everything in the file is found, in order, whatever the chunk size.

use crate::generate::{File, Item, any_file, pcapng};
use afterpath_formats::error::{At, Error, Kind};
use afterpath_formats::import::chunk::Chunk;
use afterpath_formats::import::reader::CaptureReader;
use afterpath_formats::import::source::Source;
use proptest::prelude::*;
use std::io::Cursor;

/// All of a file that was read, and the error it ended with.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    /// Bytes of the blocks that are no records.
    pub(crate) others: Vec<Vec<u8>>,
    /// The first error.
    pub(crate) error: Option<Error>,
    /// Bytes skipped because of damage.
    pub(crate) n_skipped: u64,
}

pub(crate) fn open(bytes: Vec<u8>) -> Result<CaptureReader, Error> {
    CaptureReader::new(Source::from_reader("generated", Cursor::new(bytes))?)
}

/// Reads `bytes` in chunks of about `target`.
pub(crate) fn read(bytes: &[u8], target: usize) -> Found {
    let mut found = Found::default();
    let mut reader = match open(bytes.to_vec()) {
        Ok(reader) => reader,
        Err(error) => return Found { error: Some(error), ..found },
    };
    loop {
        match reader.next_chunk(target) {
            Ok(Some(chunk)) => take(&chunk, &mut found),
            Ok(None) => {
                found.n_skipped = reader.counts().skipped_bytes.n;
                return found;
            }
            Err(error) => {
                found.error.get_or_insert(error);
            }
        }
    }
}

fn take(chunk: &Chunk, found: &mut Found) {
    assert!(!chunk.records.is_empty() || !chunk.others.is_empty());
    let mut items: Vec<(u64, Item)> = vec![];
    for (index, at) in chunk.records.iter().enumerate() {
        let record = chunk.record(index);
        let item = Item::Record {
            kind: record.kind,
            interface: record.interface,
            time_ns: record.time_ns,
            raw_stamp: record.raw_stamp,
            original_length: record.original_length,
            drops: record.drops,
            options: record.options.to_vec(),
            frame: record.frame.to_vec(),
        };
        items.push((at.ordinal, item));
    }
    for block in &chunk.others {
        let item = Item::Other { section: block.section, block_type: block.block_type };
        items.push((block.ordinal, item));
        found.others.push(block.bytes.clone());
    }
    items.sort_by_key(|(ordinal, _)| *ordinal);
    for (ordinal, item) in items {
        assert_eq!(ordinal, found.items.len() as u64);
        found.items.push(item);
    }
}

pub(crate) fn items(file: &File) -> Vec<Item> {
    file.items.iter().map(|(_, item)| item.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn finds_all(seed in any::<u64>(), target in 1usize..4096) {
        let file = any_file(seed);
        let found = read(&file.bytes, target);
        prop_assert_eq!(&found.items, &items(&file));
        prop_assert_eq!(found.error, None);
        let mut reader = open(file.bytes.clone()).expect("opened before");
        while reader.next_chunk(target).expect("read before").is_some() {}
        prop_assert_eq!(reader.position(), file.bytes.len() as u64);
        prop_assert_eq!(reader.counts().out_of_range_interface.n, file.n_out_of_range);
        prop_assert_eq!(reader.counts().malformed_blocks.n, 0);
    }
}

#[test]
fn statistics_and_names_reach_the_interface() {
    let file = (1u64..).map(pcapng).find(|file| {
        let kinds: Vec<u32> = file
            .items
            .iter()
            .filter_map(|(_, item)| match item {
                Item::Other { block_type, .. } => Some(*block_type),
                Item::Record { .. } => None,
            })
            .collect();
        kinds.starts_with(&[0x0a0d_0d0a, 1, 5]) || kinds.starts_with(&[0x0a0d_0d0a, 1, 4, 5])
    });
    let file = file.expect("some seed has it");
    let mut reader = open(file.bytes).expect("a generated file");
    while reader.next_chunk(100).expect("a whole file").is_some() {}
    let first = &reader.interfaces()[0];
    assert_eq!((first.name.as_str(), first.link_type_number), ("eth0", 1));
    assert_eq!((first.received, first.dropped), (Some(1000), Some(3)));
}

#[test]
fn what_is_no_capture_is_refused() {
    for bytes in [&b""[..], b"abc", b"hello, world, this is text and no capture", &[0; 64]] {
        let error = open(bytes.to_vec()).err().expect("refused");
        assert_eq!((error.kind, error.at), (Kind::NotACapture, At::Byte(0)));
    }
}
