//! Classic pcap: what only its header and record lengths can say.

use crate::read::{open, read};
use afterpath_formats::error::{At, Kind};
use afterpath_formats::frame::LinkType;

/// A little-endian microsecond capture of one record that claims `captured` bytes and has `present`.
fn file(snap: u32, link: u32, captured: u32, original: u32, present: usize) -> Vec<u8> {
    let mut bytes = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, snap, link].map(u32::to_le_bytes).concat();
    bytes.extend([7, 1_999_999, captured, original].map(u32::to_le_bytes).concat());
    bytes.resize(bytes.len() + present, 0x55);
    bytes
}

fn check_length(snap: u32, captured: u32, expected: Kind) {
    let found = read(&file(snap, 1, captured, captured, 100), 4096);
    let error = found.error.expect("the record is not there");
    assert_eq!((error.kind, error.at), (expected, At::Byte(24)));
}

#[test]
fn implausible_lengths_are_malformed() {
    let malformed = |length: u32| {
        let why = format!(
            "a record of {length} bytes, longer than the snap length; the rest is skipped, 116 bytes"
        );
        Kind::MalformedCapture(why)
    };
    check_length(65_535, 262_144, Kind::TruncatedCapture);
    check_length(65_535, 262_145, malformed(262_145));
    check_length(524_288, 500_000, Kind::TruncatedCapture);
    check_length(u32::MAX, 1 << 26, Kind::TruncatedCapture);
    check_length(u32::MAX, (1 << 26) + 1, malformed((1 << 26) + 1));
}

#[test]
fn frame_check_sequence_bits_are_no_link_type() {
    let reader = open(file(0, 0x5400_0071, 0, 0, 0)).expect("a capture");
    assert_eq!(reader.interfaces()[0].link_type, LinkType::LinuxSll);
    assert_eq!(reader.interfaces()[0].link_type_number, 113);
}

#[test]
fn oddities_are_counted() {
    let mut reader = open(file(50, 1, 60, 40, 60)).expect("a capture");
    let chunk = reader.next_chunk(1).expect("whole").expect("one record");
    assert_eq!(chunk.record(0).time_ns, 8_999_999_000);
    assert_eq!(
        (reader.counts().over_long.n, reader.counts().over_long.first_offset),
        (1, Some(24))
    );
    assert_eq!(reader.counts().odd_fractions.n, 1);
    let mut reader = open(file(50, 1, 0, 0, 0)).expect("a capture");
    reader.next_chunk(1).expect("whole").expect("one record");
    assert_eq!(reader.counts().zero_length.n, 1);
}
