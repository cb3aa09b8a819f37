//! Damaged segments: cut at any byte, bits flipped, tails of zeros. Rows that come out are the first that went in.

use super::made::{PACKETS, batch, n_prefix, recording, rolling, scratch, segment, warnings};
use afterpath_formats::bundle::verify;
use afterpath_formats::recording::repair;
use std::fs;
use std::path::{Path, PathBuf};

const N_BATCHES: i64 = 6;
const ROWS: i64 = 20;

/// An unsealed bundle of six synced batches in one open segment; where each ends.
fn unsealed(folder: &Path) -> (PathBuf, PathBuf, Vec<usize>) {
    let output = folder.join("a.afterpath");
    let mut recording = recording(&output, &rolling(1 << 20));
    let segment = segment(&output, PACKETS, 0);
    let mut ends = Vec::new();
    for begin in (0..N_BATCHES * ROWS).step_by(ROWS as usize) {
        recording.append(PACKETS, batch(PACKETS, begin..begin + ROWS)).expect("room");
        recording.sync().expect("room");
        ends.push(fs::metadata(&segment).expect("there").len() as usize);
    }
    drop(recording);
    (output, segment, ends)
}

/// With these bytes for its segment, the bundle opens, names what is wrong, and gives whole batches.
fn check(bundle: &Path, segment: &Path, bytes: &[u8], expected: Option<usize>) -> usize {
    fs::write(segment, bytes).expect("writable");
    let n = n_prefix(bundle, PACKETS);
    assert_eq!(n % ROWS as usize, 0, "{n} rows");
    assert!(expected.is_none_or(|expected| n == expected), "{n} rows, not {expected:?}");
    n
}

#[test]
fn a_cut_at_any_byte_costs_the_batch_that_it_cuts() {
    let scratch = scratch();
    let (bundle, segment, ends) = unsealed(scratch.path());
    let whole = fs::read(&segment).expect("readable");
    let (before, last) = (ends[ends.len() - 2], ends[ends.len() - 1]);
    assert_eq!(last, whole.len());
    let all = (N_BATCHES * ROWS) as usize;
    // The reader's own test goes byte by byte; here the way from it to the rows.
    for cut in (before..last).step_by(67) {
        check(&bundle, &segment, &whole[..cut], Some(all - ROWS as usize));
    }
    check(&bundle, &segment, &whole, Some(all));
    assert_eq!(warnings(&bundle), ["unsealed"]);
    for cut in (0..before).step_by(997) {
        let n = ends.iter().filter(|end| **end <= cut).count();
        check(&bundle, &segment, &whole[..cut], Some(n * ROWS as usize));
        let expected = if cut == 0 || ends.contains(&cut) { 1 } else { 2 };
        assert_eq!(warnings(&bundle).len(), expected, "cut at {cut}");
    }
}

#[test]
fn a_flipped_bit_costs_its_batch_and_those_behind() {
    let scratch = scratch();
    let (bundle, segment, ends) = unsealed(scratch.path());
    let whole = fs::read(&segment).expect("readable");
    let mut state = 12345u64;
    for _ in 0..200 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (state >> 20) as usize % (whole.len() * 8);
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let n = ends.iter().filter(|end| **end <= bit / 8).count();
        check(&bundle, &segment, &bytes, Some(n * ROWS as usize));
    }
    assert_eq!(warnings(&bundle), ["unsealed", "cut-segment"]);
    let problems = verify(&bundle).expect("verifiable").problems;
    assert_eq!(
        problems.iter().map(|p| p.kind.name()).collect::<Vec<_>>(),
        ["unsealed", "cut-segment"]
    );
}

#[test]
fn zeros_at_the_end_are_no_rows() {
    let scratch = scratch();
    let (bundle, segment, ends) = unsealed(scratch.path());
    let whole = fs::read(&segment).expect("readable");
    for (kept, n_zeros) in
        [(ends[5], 1), (ends[5], 4096), (ends[3], ends[5]), (ends[3] + 100, 5000)]
    {
        let mut bytes = whole[..kept].to_vec();
        bytes.resize(kept + n_zeros, 0);
        let n = ends.iter().filter(|end| **end <= kept).count();
        check(&bundle, &segment, &bytes, Some(n * ROWS as usize));
        assert_eq!(warnings(&bundle), ["unsealed", "cut-segment"]);
    }
    let zeros = vec![0; whole.len()];
    check(&bundle, &segment, &zeros, Some(0));
}

#[test]
fn frames_out_of_their_place_are_no_rows() {
    let scratch = scratch();
    let (bundle, segment, ends) = unsealed(scratch.path());
    let whole = fs::read(&segment).expect("readable");
    let third = &whole[ends[1]..ends[2]];
    // Twice in a row, and over the one before it.
    let twice = [&whole[..ends[2]], third, &whole[ends[2]..]].concat();
    check(&bundle, &segment, &twice, Some(3 * ROWS as usize));
    let over = [&whole[..ends[0]], third, &whole[ends[2]..]].concat();
    check(&bundle, &segment, &over, Some(ROWS as usize));
}

#[test]
fn what_was_cut_is_told_once_and_stays_told() {
    let scratch = scratch();
    let (bundle, segment, ends) = unsealed(scratch.path());
    let whole = fs::read(&segment).expect("readable");
    fs::write(&segment, &whole[..ends[4] + 10]).expect("writable");
    let repaired = repair(&bundle).expect("repairable");
    let text = repaired.warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text.len(), 1);
    let wanted = format!("open-00000.segment, byte {}: 10 bytes from here", ends[4]);
    assert!(text[0].contains(&wanted), "{text:?}");
    let found = verify(&bundle).expect("verifiable");
    assert!(found.is_whole(), "{:?}", found.problems);
    let losses: Vec<_> = found.losses.iter().map(|loss| (&*loss.cause, loss.count)).collect();
    assert_eq!(losses, [("cut-segment", 10)]);
    assert_eq!(n_prefix(&bundle, PACKETS), 5 * ROWS as usize);
    assert!(repair(&bundle).expect("sealed").was_sealed);
}
