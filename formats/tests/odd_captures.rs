//! Captures that are odd or damaged in the middle, as bundles: what is in them, what is counted, what comes out again.

use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::export::export_pcapng;
use afterpath_formats::import::{Counted, ImportSummary, import};
use std::path::{Path, PathBuf};

mod made;
use made::{Scratch, frames, pcap, plan};

/// A little-endian block.
fn block(kind: u32, mut body: Vec<u8>) -> Vec<u8> {
    body.resize(body.len().next_multiple_of(4), 0);
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes()[..], &length, &body, &length].concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

fn interface(link: u32) -> Vec<u8> {
    block(1, words(&[link, 0]))
}

/// An enhanced packet block, stamped in microseconds.
fn stamped(time_us: u64, frame: &[u8]) -> Vec<u8> {
    let length = frame.len() as u32;
    let head = words(&[0, (time_us >> 32) as u32, time_us as u32, length, length]);
    block(6, [head, frame.to_vec()].concat())
}

fn simple(frame: &[u8]) -> Vec<u8> {
    block(3, [words(&[frame.len() as u32]), frame.to_vec()].concat())
}

fn imported(scratch: &Scratch, bytes: &[u8]) -> (PathBuf, ImportSummary) {
    let file = scratch.write("x.pcapng", bytes);
    let output = scratch.path("x.afterpath");
    let summary = import(&plan(&[file], &output), &|_| ()).expect("importable");
    assert_eq!(verify(&output).expect("verifiable").problems, []);
    (output, summary)
}

/// (source row, time, frame) of every packet, in the capture's order.
fn packets(bundle: &Path) -> Vec<(i64, i64, Vec<u8>)> {
    let bundles = Bundles::open(&[bundle.into()]).expect("openable");
    let mut packets = Vec::new();
    for file in &bundles.packet_files {
        for batch in file.read(0..u64::MAX) {
            let batch = batch.expect("whole");
            packets.extend((0..batch.len()).map(|row| {
                let packet = batch.packet(row);
                (packet.source_row, packet.time_ns, batch.frame(row).to_vec())
            }));
        }
    }
    packets.sort_unstable();
    packets
}

fn exported(bundle: &Path) -> Vec<u8> {
    let bundles = Bundles::open(&[bundle.into()]).expect("openable");
    let mut bytes = Vec::new();
    export_pcapng(&bundles, &[0], &mut bytes, Path::new("out")).expect("exportable");
    bytes
}

/// Cause, count, offset, whether damage.
fn causes(losses: &[Counted]) -> Vec<(&str, i64, Option<i64>, bool)> {
    losses.iter().map(|l| (l.cause.as_str(), l.count, l.first_offset, l.is_damage)).collect()
}

/// Blocks give packets of these times (microseconds); all come out again as they went in.
fn check_times(blocks: &[Vec<u8>], expected_us: &[i64]) {
    let scratch = Scratch::new();
    let bytes = [&[section(), interface(1)], blocks].concat().concat();
    let (bundle, summary) = imported(&scratch, &bytes);
    let times: Vec<i64> = packets(&bundle).iter().map(|(_, ns, _)| ns / 1000).collect();
    assert_eq!(times, expected_us);
    assert_eq!(exported(&bundle), bytes);
    let n_simple = blocks.iter().filter(|block| block[0] == 3).count() as i64;
    let unstamped = summary.losses.iter().find(|loss| loss.cause == "no-time-stamp");
    assert_eq!(unstamped.map_or(0, |loss| loss.count), n_simple);
    let bundles = Bundles::open(&[bundle]).expect("openable");
    let range = expected_us.iter().min().zip(expected_us.iter().max());
    assert_eq!(bundles.interfaces[0].time_range_ns, range.map(|(a, b)| (a * 1000, b * 1000)));
    assert!(!bundles.losses.iter().any(|loss| loss.row.cause == "clock-backwards"));
}

#[test]
fn packets_without_stamp_are_not_of_1970() {
    let at = 1_700_000_000_000_000;
    let (first, second) = (stamped(at, b"one"), stamped(at + 9, b"two"));
    let bare = || simple(b"bare");
    let t = at as i64;
    check_times(&[first.clone(), bare(), bare(), second.clone(), bare()], &[t, t, t, t + 9, t + 9]);
    check_times(&[bare(), bare(), second.clone()], &[t + 9, t + 9, t + 9]);
    check_times(&[bare(), bare()], &[0, 0]);
    // The first stamp far behind the first chunk.
    let mut far: Vec<Vec<u8>> = vec![simple(&[7; 60_000]); 100];
    far.push(first);
    check_times(&far, &vec![t; 101]);
}

#[test]
fn what_is_odd_is_counted_and_only_damage_is_damage() {
    let scratch = Scratch::new();
    let at = 1_700_000_000_000_000;
    let mut out_of_range = stamped(at, b"lost");
    out_of_range[8] = 9;
    let blocks = [
        section(),
        interface(4711),
        stamped(at, b"one"),
        stamped(at - 5, b""),
        out_of_range,
        block(77, vec![1, 2, 3, 4]),
        block(6, vec![0; 8]),
    ];
    let (bundle, summary) = imported(&scratch, &blocks.concat());
    assert_eq!(packets(&bundle).len(), 2);
    assert_eq!(summary.warnings, []);
    let offset = |n: usize| Some(blocks[..n].concat().len() as i64);
    let expected = [
        ("out-of-range-interface", 1, offset(4), true),
        ("zero-length", 1, offset(3), false),
        ("malformed-block", 1, offset(6), true),
        ("unknown-block", 1, offset(5), false),
        ("clock-backwards", 1, None, false),
        ("unknown-link-type", 2, None, true),
    ];
    assert_eq!(causes(&summary.losses), expected);
    assert_eq!(summary.losses[0].source, "x.pcapng");
    assert_eq!(exported(&bundle), blocks.concat());
}

#[test]
fn odd_classic_records_are_kept_and_counted() {
    let scratch = Scratch::new();
    let mut bytes = pcap(&frames(50, 1));
    // The first record's fraction: two seconds.
    bytes[28..32].copy_from_slice(&2_000_000u32.to_le_bytes());
    let (bundle, summary) = imported(&scratch, &bytes);
    assert_eq!(packets(&bundle).len(), 50);
    assert!(causes(&summary.losses).contains(&("odd-fraction", 1, Some(24), true)));
}

/// Imports damaged `bytes`: the frames that are there, in order, bytes skipped, warnings.
fn damaged(bytes: &[u8]) -> (Vec<Vec<u8>>, i64, Vec<String>) {
    let scratch = Scratch::new();
    let (bundle, summary) = imported(&scratch, bytes);
    let frames = packets(&bundle).into_iter().map(|(_, _, frame)| frame).collect();
    let skipped = summary.losses.iter().find(|loss| loss.cause == "skipped-bytes");
    let warnings = summary.warnings.iter().map(ToString::to_string).collect();
    (frames, skipped.map_or(0, |loss| loss.count), warnings)
}

/// A classic capture, its frames, and where each record begins.
fn classic(seed: u64) -> (Vec<u8>, Vec<Vec<u8>>, Vec<usize>) {
    let frames = frames(60, seed);
    let mut at = 24;
    let starts = frames.iter().map(|frame| {
        at += 16 + frame.bytes.len();
        at - 16 - frame.bytes.len()
    });
    let starts = starts.collect();
    (pcap(&frames), frames.into_iter().map(|frame| frame.bytes).collect(), starts)
}

#[test]
fn a_damaged_record_costs_no_other() {
    for seed in 0..12 {
        let (whole, frames, starts) = classic(seed);
        let place = 5 + seed as usize;
        let at = starts[place];
        let lengths = [0, 1, 7, 100, 400, 1000, 5000, 70_000, 250_000, 1 << 20, u32::MAX];
        for length in lengths.into_iter().filter(|length| *length as usize != frames[place].len()) {
            let mut bytes = whole.clone();
            bytes[at + 8..at + 12].copy_from_slice(&length.to_le_bytes());
            let (found, skipped, warnings) = damaged(&bytes);
            let mut rest = frames.clone();
            rest.remove(place);
            assert!(found == rest, "seed {seed}, length {length}: {warnings:?}");
            assert_eq!(skipped as usize, 16 + frames[place].len());
            assert!(warnings[0].contains(&format!("byte {at}: ")), "{warnings:?}");
        }
        for n_zeros in [1, 4, 16, 100] {
            let zeros = vec![0; n_zeros];
            let (found, skipped, _) = damaged(&[&whole[..at], &zeros, &whole[at..]].concat());
            assert_eq!((found.len(), skipped as usize), (60, n_zeros), "seed {seed}");
            assert!(found == frames, "seed {seed}, {n_zeros} zeros");
        }
    }
}

#[test]
fn joined_captures_are_read_on() {
    let (one, frames, starts) = classic(1);
    let (mut two, more, _) = classic(2);
    let all = [frames.clone(), more.clone()].concat();
    let (found, skipped, warnings) = damaged(&[&one[..], &two].concat());
    assert_eq!((found, skipped, warnings.len()), (all.clone(), 24, 1));
    assert!(warnings[0].contains("the file header of another capture"), "{warnings:?}");
    // The first one cut in its last record.
    let cut = [&one[..one.len() - 3], &two].concat();
    let (found, _, warnings) = damaged(&cut);
    assert!(found == [&frames[..59], &more].concat(), "{} {warnings:?}", found.len());
    // Another link type can't be told apart in one capture.
    two[20] = 113;
    let (found, skipped, warnings) = damaged(&[&one[..], &two].concat());
    assert_eq!((found, skipped as usize), (frames.clone(), two.len()));
    assert!(warnings[0].contains("of link type 113, not 1"), "{warnings:?}");
    // Big-endian, nanoseconds.
    let mut swapped = one[..24].to_vec();
    swapped[..4].copy_from_slice(&0xa1b2_3c4du32.to_be_bytes());
    swapped[4..8].copy_from_slice(&[0, 2, 0, 4]);
    swapped[16..24].copy_from_slice(&[0, 4, 0, 0, 0, 0, 0, 1]);
    for (at, frame) in starts.iter().zip(&frames) {
        for word in one[*at..*at + 16].chunks(4) {
            swapped.extend(word.iter().rev());
        }
        swapped.extend(frame);
    }
    let (found, skipped, _) = damaged(&[&one[..], &swapped].concat());
    assert_eq!((found, skipped), ([frames.clone(), frames].concat(), 24));
}

#[test]
fn a_capture_inside_a_packet_is_no_place_to_go_on() {
    let (inner, ..) = classic(3);
    let at = 1_700_000_000_000_000;
    let inside = [section(), interface(1), stamped(at, b"in"), stamped(at, b"in")].concat();
    for (length, broken) in [(4, 13u32), (4, 4000), (4, 40), (4, 1 << 30)] {
        let mut carrier = stamped(at, &inside);
        carrier[length..length + 4].copy_from_slice(&broken.to_le_bytes());
        let blocks = [section(), interface(1), carrier, stamped(at, b"a"), stamped(at, b"b")];
        assert_eq!(damaged(&blocks.concat()).0, [b"a", b"b"], "{broken}");
    }
    // Cut inside it: it is only cut.
    let whole = [section(), interface(1), stamped(at, b"a"), stamped(at, &inside)].concat();
    for n in 1..inside.len() {
        let (found, skipped, warnings) = damaged(&whole[..whole.len() - n]);
        assert_eq!((found, skipped, warnings.len()), (vec![b"a".to_vec()], 0, 1));
    }
    let frame = made::Frame {
        time_ns: at as i64 * 1000,
        original_length: inner.len() as u32,
        bytes: inner,
    };
    let carrier = [pcap(&frames(1, 1)), pcap(&[frame])[24..].to_vec()].concat();
    for n in (1..carrier.len() - 400).step_by(97) {
        assert_eq!(damaged(&carrier[..carrier.len() - n]).0.len(), 1, "{n}");
    }
}

#[test]
fn damage_everywhere_is_told_in_few_words() {
    let at = 1_700_000_000_000_000;
    let mut bytes = [section(), interface(1)].concat();
    for _ in 0..2000 {
        bytes.extend([stamped(at, b"one"), stamped(at, b"two"), vec![0; 100]].concat());
    }
    let (found, skipped, warnings) = damaged(&bytes);
    assert_eq!((found.len(), skipped, warnings.len()), (4000, 200_000, 9));
    assert!(warnings[8].contains("damaged at 1992 more places"), "{}", warnings[8]);
}
