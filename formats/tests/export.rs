//! An imported pcapng comes out again byte for byte, whatever the limits; classic captures come out with the same packets.

use afterpath_formats::bundle::{Bundles, pack, verify};
use afterpath_formats::export::packets::{Exported, export_within};
use afterpath_formats::import::{Limits, import, import_within};
use proptest::prelude::*;
use std::path::Path;

mod made;
use made::{Scratch, frames, pcap, plan};

/// Imports `bytes` and exports them, in runs of `run_bytes`.
fn round_trip(bytes: &[u8], run_bytes: usize) -> (Vec<u8>, Exported) {
    let scratch = Scratch::new();
    let file = scratch.write("x.pcapng", bytes);
    let limits = Limits { run_bytes, chunk_bytes: 1000 };
    let output = scratch.path("x.afterpath");
    import_within(&plan(&[file], &output), &limits, &|_| ()).expect("importable");
    assert_eq!(verify(&output).expect("verifiable").problems, []);
    let bundles = Bundles::open(&[output]).expect("openable");
    let mut out = Vec::new();
    let exported =
        export_within(&bundles, &[0], &mut out, Path::new("out"), &limits).expect("exportable");
    (out, exported)
}

/// A pcapng of sections, interfaces, all kinds of packet blocks and others.
#[derive(Debug, Clone)]
enum Block {
    Section(bool),
    Interface {
        resolution: u8,
        offset: Option<i64>,
    },
    Enhanced {
        interface: u32,
        stamp: u64,
        frame: Vec<u8>,
        longer: u32,
        comment: Option<String>,
        flags: Option<u32>,
        id: Option<u64>,
    },
    Simple(Vec<u8>),
    Obsolete {
        stamp: u64,
        frame: Vec<u8>,
        drops: u16,
    },
    Other(u32, Vec<u8>),
}

fn block() -> impl Strategy<Value = Block> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..90);
    let stamp = || prop_oneof![1_600_000_000_000_000u64..1_600_000_000_100_000, any::<u64>()];
    prop_oneof![
        1 => any::<bool>().prop_map(Block::Section),
        2 => (prop_oneof![Just(6u8), Just(9), Just(3), Just(0x94), Just(12)], proptest::option::of(-5i64..5))
            .prop_map(|(resolution, offset)| Block::Interface { resolution, offset }),
        9 => (0u32..3, stamp(), bytes(), 0u32..9, proptest::option::of("[a-zé]{0,9}"), proptest::option::of(any::<u32>()), proptest::option::of(any::<u64>()))
            .prop_map(|(interface, stamp, frame, longer, comment, flags, id)| Block::Enhanced { interface, stamp, frame, longer, comment, flags, id }),
        2 => bytes().prop_map(Block::Simple),
        2 => (stamp(), bytes(), any::<u16>()).prop_map(|(stamp, frame, drops)| Block::Obsolete { stamp, frame, drops }),
        2 => (prop_oneof![Just(4u32), Just(5), Just(10), Just(0xbad), 0x8000_0000u32..0x8000_0009], bytes())
            .prop_map(|(kind, bytes)| Block::Other(kind, bytes)),
    ]
}

struct Pcapng {
    bytes: Vec<u8>,
    big: bool,
    n_interfaces: u32,
}

impl Pcapng {
    fn u16(&self, n: u16) -> [u8; 2] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn u32(&self, n: u32) -> [u8; 4] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn u64(&self, n: u64) -> [u8; 8] {
        if self.big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn push(&mut self, kind: u32, mut body: Vec<u8>) {
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(body.len() as u32 + 12);
        self.bytes.extend_from_slice(&self.u32(kind));
        self.bytes.extend_from_slice(&length);
        self.bytes.extend_from_slice(&body);
        self.bytes.extend_from_slice(&length);
    }

    fn options(&self, options: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in options {
            bytes.extend_from_slice(&self.u16(*code));
            bytes.extend_from_slice(&self.u16(value.len() as u16));
            bytes.extend_from_slice(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if !options.is_empty() {
            bytes.extend_from_slice(&[0; 4]);
        }
        bytes
    }

    fn block(&mut self, block: &Block) {
        let stamp_of = |this: &Pcapng, stamp: u64| {
            [this.u32((stamp >> 32) as u32), this.u32(stamp as u32)].concat()
        };
        match block {
            Block::Section(big) => {
                (self.big, self.n_interfaces) = (*big, 0);
                let body =
                    [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
                self.push(0x0a0d_0d0a, body);
            }
            Block::Interface { resolution, offset } => {
                let mut options = vec![(2, b"eth0".to_vec()), (9, vec![*resolution])];
                options.extend(offset.map(|offset| (14, self.u64(offset as u64).to_vec())));
                let body = [&self.u16(1)[..], &self.u16(0), &self.u32(0), &self.options(&options)]
                    .concat();
                self.n_interfaces += 1;
                self.push(1, body);
            }
            Block::Enhanced { interface, stamp, frame, longer, comment, flags, id } => {
                let mut options: Vec<(u16, Vec<u8>)> = Vec::new();
                options.extend(comment.iter().map(|comment| (1, comment.clone().into_bytes())));
                options.extend(flags.map(|flags| (2, self.u32(flags).to_vec())));
                options.extend(id.map(|id| (5, self.u64(id).to_vec())));
                let lengths =
                    [self.u32(frame.len() as u32), self.u32(frame.len() as u32 + longer)].concat();
                let mut body =
                    [&self.u32(*interface)[..], &stamp_of(self, *stamp), &lengths, frame].concat();
                body.resize(body.len().next_multiple_of(4), 0);
                body.extend(self.options(&options));
                self.push(6, body);
            }
            Block::Simple(frame) => {
                self.push(3, [&self.u32(frame.len() as u32)[..], frame].concat())
            }
            Block::Obsolete { stamp, frame, drops } => {
                let lengths = [self.u32(frame.len() as u32), self.u32(frame.len() as u32)].concat();
                let body =
                    [&self.u16(0)[..], &self.u16(*drops), &stamp_of(self, *stamp), &lengths, frame]
                        .concat();
                self.push(2, body);
            }
            Block::Other(kind, bytes) => self.push(*kind, bytes.clone()),
        }
    }
}

fn pcapng(blocks: &[Block]) -> Vec<u8> {
    let mut file = Pcapng { bytes: Vec::new(), big: false, n_interfaces: 0 };
    file.block(&Block::Section(false));
    file.block(&Block::Interface { resolution: 6, offset: None });
    blocks.iter().for_each(|block| file.block(block));
    file.bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pcapng_comes_back_byte_for_byte(blocks in proptest::collection::vec(block(), 0..60)) {
        let bytes = pcapng(&blocks);
        prop_assert_eq!(&round_trip(&bytes, usize::MAX).0, &bytes);
        let (out, exported) = round_trip(&bytes, 700);
        prop_assert_eq!(out, bytes);
        prop_assert_eq!(exported.warnings, vec![]);
    }
}

#[test]
fn classic_captures_keep_their_packets() {
    let frames = frames(3000, 9);
    let (out, exported) = round_trip(&pcap(&frames), 50_000);
    assert_eq!((exported.n_packets, exported.warnings.len()), (3000, 0));
    // What came out is a pcapng that says the same; going round again changes nothing more.
    assert_eq!(round_trip(&out, usize::MAX).0, out);
}

#[test]
fn secrets_are_listed() {
    let scratch = Scratch::new();
    let file =
        scratch.write("x.pcapng", &pcapng(&[Block::Other(10, vec![1; 20]), Block::Simple(vec![])]));
    let output = scratch.path("x.afterpath");
    import(&plan(&[file], &output), &|_| ()).expect("importable");
    let packed = scratch.path("x.tar");
    pack(&output, &packed, false).expect("packable");
    let found = verify(&packed).expect("verifiable");
    assert_eq!(found.problems, []);
    assert_eq!(
        found.secrets.iter().map(|s| (s.source_row, s.bytes)).collect::<Vec<_>>(),
        [(2, 32)]
    );
}
