//! Captures made for tests, and a place for them. Never random: the seed decides.

use afterpath_formats::import::{HostPlan, ImportPlan};
use std::path::{Path, PathBuf};

/// A frame as it goes into a capture.
pub(crate) struct Frame {
    pub(crate) time_ns: i64,
    pub(crate) original_length: u32,
    pub(crate) bytes: Vec<u8>,
}

/// A folder that goes away.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        std::fs::write(&path, bytes).expect("writable");
        path
    }
}

/// A plan of bare files.
pub(crate) fn plan(files: &[PathBuf], output: &Path) -> ImportPlan {
    ImportPlan {
        hosts: files.iter().map(|file| HostPlan::bare(file)).collect(),
        output: output.into(),
        ..ImportPlan::default()
    }
}

/// `count` Ethernet frames: TCP and UDP of a few flows, some noise, stamps that mostly grow.
pub(crate) fn frames(count: usize, seed: u64) -> Vec<Frame> {
    let mut random = Random(seed);
    let mut time_ns = 1_700_000_000_000_000_000;
    let mut frame = |_| {
        time_ns += random.below(2_000_000) as i64 - 1000;
        let bytes = match random.below(10) {
            0 => (0..random.below(80)).map(|_| random.below(256) as u8).collect(),
            1..=2 => ip(&mut random, 17),
            _ => ip(&mut random, 6),
        };
        Frame { time_ns: time_ns / 1000 * 1000, original_length: bytes.len() as u32, bytes }
    };
    (0..count).map(&mut frame).collect()
}

/// A classic little-endian microsecond pcap.
pub(crate) fn pcap(frames: &[Frame]) -> Vec<u8> {
    let mut bytes =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for frame in frames {
        let (seconds, rest) = (frame.time_ns / 1_000_000_000, frame.time_ns % 1_000_000_000 / 1000);
        for word in [seconds as u32, rest as u32, frame.bytes.len() as u32, frame.original_length] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&frame.bytes);
    }
    bytes
}

fn ip(random: &mut Random, protocol: u8) -> Vec<u8> {
    let payload: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
    let mut transport = Vec::new();
    let (mut ports, mut addresses) =
        ([40_000 + random.below(20) as u16, 80], [[10, 0, 0, 1], [10, 0, 0, 2]]);
    if random.below(2) == 0 {
        ports.swap(0, 1);
        addresses.swap(0, 1);
    }
    ports.iter().for_each(|port| transport.extend_from_slice(&port.to_be_bytes()));
    if protocol == 6 {
        transport.extend_from_slice(&(random.below(1 << 32) as u32).to_be_bytes());
        transport.extend_from_slice(&(random.below(1 << 32) as u32).to_be_bytes());
        transport.extend_from_slice(&[0x50, 0x18, 1, 2, 0, 0, 0, 0]);
    } else {
        transport.extend_from_slice(&(8 + payload.len() as u16).to_be_bytes());
        transport.extend_from_slice(&[0, 0]);
    }
    transport.extend_from_slice(&payload);
    let mut bytes = vec![0; 12];
    if random.below(8) == 0 {
        bytes.extend_from_slice(&[0x81, 0, 0, 5]);
    }
    bytes.extend_from_slice(&[8, 0, 0x45, 0]);
    bytes.extend_from_slice(&(20 + transport.len() as u16).to_be_bytes());
    bytes.extend_from_slice(&[random.below(256) as u8, 7, 0, 0, 64, protocol, 0, 0]);
    addresses.iter().for_each(|address| bytes.extend_from_slice(address));
    bytes.extend_from_slice(&transport);
    bytes
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
