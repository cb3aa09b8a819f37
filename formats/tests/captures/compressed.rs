//! gzip and zstd, in one piece or several, whole or damaged.

use crate::generate::{any_file, pcap};
use crate::read::{items, read};
use afterpath_formats::error::Kind;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

fn check(seed: u64, at: usize, compress: fn(&[u8]) -> Vec<u8>) {
    let file = any_file(seed);
    let (first, second) = file.bytes.split_at(at.min(file.bytes.len()));
    let compressed = [compress(first), compress(second)].concat();
    let found = read(&compressed, 512);
    assert_eq!((found.items, found.error), (items(&file), None));
}

fn check_cut(compress: fn(&[u8]) -> Vec<u8>) {
    let file = (1..).map(|n| pcap(n * 3)).find(|file| file.items.len() > 15).expect("some seed");
    let compressed = compress(&file.bytes);
    let mut most = 0;
    for cut in 4..compressed.len() {
        let found = read(&compressed[..cut], 64);
        let error = found.error.expect("cut").kind;
        assert!(matches!(error, Kind::BadCompression(_)), "cut at {cut}: {error:?}");
        assert_eq!(found.items, items(&file)[..found.items.len()]);
        most = most.max(found.items.len());
    }
    assert!(most > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn members_and_frames_join(seed in any::<u64>(), at in 0usize..2000) {
        check(seed, at, gzip);
        check(seed, at, zstd);
    }
}

#[test]
fn a_cut_stream_is_told_from_a_cut_capture() {
    check_cut(gzip);
    check_cut(zstd);
}
