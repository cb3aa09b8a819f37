//! Read and written again: the same bytes; and classic records as pcapng that reads back equal.

use crate::generate::{Item, pcap, pcapng};
use crate::read::{items, open, read};
use afterpath_formats::export::pcapng::{PacketOptions, PcapngWriter};
use afterpath_formats::frame::Direction;
use afterpath_formats::record::{BlockKind, Record};
use proptest::prelude::*;

/// Reads a pcapng and writes every block and record in its order.
fn written_again(bytes: &[u8], target: usize) -> Vec<u8> {
    let mut reader = open(bytes.to_vec()).expect("a generated file");
    let mut writer = PcapngWriter::new(vec![]);
    while let Some(chunk) = reader.next_chunk(target).expect("a whole file") {
        let mut others = chunk.others.iter().peekable();
        for (index, at) in chunk.records.iter().enumerate() {
            while let Some(block) = others.next_if(|block| block.ordinal < at.ordinal) {
                writer.write_block(&block.bytes).expect("memory");
            }
            let section = reader.interfaces()[at.interface as usize].section;
            let first_interface =
                reader.interfaces().partition_point(|found| found.section < section);
            let interface = at.interface - first_interface as u32;
            writer.write_record(&chunk.record(index), interface).expect("memory");
        }
        others.for_each(|block| writer.write_block(&block.bytes).expect("memory"));
    }
    writer.finish().expect("memory")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pcapng_is_byte_identical(seed in any::<u64>(), target in 1usize..4096) {
        let file = pcapng(seed);
        prop_assert_eq!(written_again(&file.bytes, target), file.bytes);
    }

    #[test]
    fn classic_records_survive(seed in any::<u64>()) {
        let file = pcap(seed);
        let mut reader = open(file.bytes.clone()).expect("a generated file");
        let mut writer = PcapngWriter::new(vec![]);
        writer.begin_section().expect("memory");
        let interface = writer.declare_interface(&reader.interfaces()[0]).expect("memory");
        while let Some(chunk) = reader.next_chunk(1000).expect("a whole file") {
            for index in 0..chunk.records.len() {
                writer.write_record(&chunk.record(index), interface).expect("memory");
            }
        }
        let found = read(&writer.finish().expect("memory"), 1000);
        let mut expected = items(&file);
        for item in &mut expected {
            if let Item::Record { kind, .. } = item {
                *kind = BlockKind::Enhanced;
            }
        }
        prop_assert_eq!(found.items.len(), expected.len() + 2);
        prop_assert_eq!(&found.items[2..], &expected[..]);
        prop_assert_eq!(found.error, None);
    }
}

/// comment "hi", flags outbound, packet id 9, drop count 3, queue 2, a custom option, end.
fn options(big_endian: bool) -> Vec<u8> {
    let number = |value: u64, length: usize| match big_endian {
        true => value.to_be_bytes()[8 - length..].to_vec(),
        false => value.to_le_bytes()[..length].to_vec(),
    };
    let mut bytes = vec![];
    let values = [(2, 4, 2), (5, 8, 9), (4, 8, 3), (6, 4, 2)];
    bytes.extend([number(1, 2), number(2, 2), b"hi\0\0".to_vec()].concat());
    for (code, length, value) in values {
        bytes.extend([number(code, 2), number(length, 2), number(value, length as usize)].concat());
    }
    bytes.extend([number(2988, 2), number(6, 2), number(32473, 4), b"ab\0\0".to_vec()].concat());
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn options_are_read_and_change_byte_order() {
    for big_endian in [false, true] {
        let parsed = PacketOptions::parse(&options(big_endian), big_endian);
        let expected = PacketOptions {
            comments: vec!["hi".into()],
            flags: Some(2),
            packet_id: Some(9),
            drop_count: Some(3),
            queue: Some(2),
        };
        assert_eq!(parsed, expected);
        assert_eq!(parsed.direction(), Some(Direction::Outbound));
    }
    let big = options(true);
    let record = Record { big_endian: true, options: &big, frame: b"abc", ..Record::default() };
    let mut reader = open(pcap(3).bytes).expect("a generated file");
    reader.next_chunk(1).expect("a whole file");
    let mut writer = PcapngWriter::new(vec![]);
    writer.begin_section().expect("memory");
    writer.declare_interface(&reader.interfaces()[0]).expect("memory");
    writer.write_record(&record, 0).expect("memory");
    let found = read(&writer.finish().expect("memory"), 1000);
    let Some(Item::Record { options: written, .. }) = found.items.last() else {
        panic!("no record: {found:?}");
    };
    assert_eq!(*written, options(false));
}

#[test]
fn what_can_not_be_written_is_refused() {
    let mut writer = PcapngWriter::new(vec![]);
    assert!(writer.write_block(&[1, 2, 3]).is_err());
    writer.begin_section().expect("memory");
    assert!(writer.write_record(&Record::default(), 0).is_err());
    let reader = open(pcap(3).bytes).expect("a generated file");
    let interface = writer.declare_interface(&reader.interfaces()[0]).expect("memory");
    let before_1970 = Record { time_ns: -1, ..Record::default() };
    assert!(writer.write_record(&before_1970, interface).is_err());
}
