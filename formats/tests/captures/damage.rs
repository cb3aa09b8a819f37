//! Files cut at every byte and with bytes changed: what stands before the damage is read, and nothing panics.

use crate::generate::{File, Item, any_file, pcapng};
use crate::read::{items, read};
use afterpath_formats::error::{At, Kind};
use afterpath_formats::record::BlockKind;
use proptest::collection::vec;
use proptest::prelude::*;

/// How many items end at or before `cut`, and where the next begins.
fn whole_before(file: &File, cut: usize) -> (usize, usize) {
    let ends: Vec<usize> =
        file.items.iter().skip(1).map(|(at, _)| *at).chain([file.bytes.len()]).collect();
    let n = ends.iter().take_while(|end| **end <= cut).count();
    let n = if file.items.is_empty() { 0 } else { n };
    (n, file.items.get(n).map_or(file.bytes.len(), |(at, _)| *at))
}

fn check_cut(file: &File, cut: usize, target: usize) {
    let found = read(&file.bytes[..cut], target);
    let (n, next) = whole_before(file, cut);
    assert_eq!(found.items, items(file)[..n]);
    let is_classic = file.items.first().is_none_or(|(at, _)| *at == 24);
    let expected = match cut {
        0..4 => Some((Kind::NotACapture, At::Byte(0))),
        4..24 if is_classic => Some((Kind::TruncatedCapture, At::Byte(0))),
        _ if next == cut || (is_classic && cut == 24) => None,
        _ => Some((Kind::TruncatedCapture, At::Byte(next as u64))),
    };
    assert_eq!(found.error.map(|error| (error.kind, error.at)), expected, "cut at {cut}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere(seed in any::<u64>(), target in 1usize..2048) {
        let file = any_file(seed);
        for cut in 0..=file.bytes.len() {
            check_cut(&file, cut, target);
        }
    }

    #[test]
    fn changed_anywhere(
        seed in any::<u64>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        target in 1usize..2048,
    ) {
        let file = any_file(seed);
        let mut bytes = file.bytes.clone();
        let mut first = bytes.len();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
            first = first.min(place);
            let found = read(&bytes, target);
            // A file header has no item of its own.
            let n = if first < 24 { 0 } else { whole_before(&file, first).0 };
            // An odd classic record may be given up when no other follows.
            let n = n.saturating_sub(usize::from(seed.is_multiple_of(3)));
            prop_assert!(found.items.len() >= n);
            prop_assert_eq!(&found.items[..n], &items(&file)[..n]);
        }
    }

    #[test]
    fn anything(mut bytes in vec(any::<u8>(), 0..300), magic in 0usize..6, target in 1usize..400) {
        let magics: [&[u8]; 5] = [
            &[0xd4, 0xc3, 0xb2, 0xa1],
            &[0xa1, 0xb2, 0x3c, 0x4d],
            &[0x34, 0xcd, 0xb2, 0xa1],
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0],
            &[0x28, 0xb5, 0x2f, 0xfd],
        ];
        if let Some(magic) = magics.get(magic).filter(|magic| magic.len() <= bytes.len()) {
            bytes[..magic.len()].copy_from_slice(magic);
        }
        read(&bytes, target);
    }
}

/// As a damaged file is compared with its original: a simple block's time is its neighbour's, which may be lost.
fn timeless(items: &[Item]) -> Vec<Item> {
    let mut items = items.to_vec();
    for item in &mut items {
        if let Item::Record { kind: BlockKind::Simple, time_ns, .. } = item {
            *time_ns = 0;
        }
    }
    items
}

/// Whether the items from `place` on are enough to be recognised: two of known kinds in a row.
fn goes_on(file: &File, place: usize) -> bool {
    let is_known = |(_, item): &(usize, Item)| {
        !matches!(item, Item::Other { block_type: 77 | 0x8000_0001, .. })
    };
    file.items.len() >= place + 2 && file.items[place..place + 2].iter().all(is_known)
}

/// Whether `some` are among `all`, in their order.
fn is_among(some: &[Item], all: &[Item]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|item| rest.any(|other| other == item))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_between_is_skipped_and_nothing_invented(
        seed in any::<u64>(),
        place in any::<prop::sample::Index>(),
        garbage in prop_oneof![vec(any::<u8>(), 1..300), (1usize..300).prop_map(|n| vec![0; n])],
        target in 1usize..2048,
    ) {
        let file = any_file(seed);
        prop_assume!(!file.items.is_empty());
        let place = place.index(file.items.len());
        let at = file.items[place].0;
        let bytes = [&file.bytes[..at], &garbage, &file.bytes[at..]].concat();
        let found = read(&bytes, target);
        let (before, all) = (timeless(&items(&file)[..place]), timeless(&items(&file)));
        if place > 0 {
            // A classic record's lengths may be odd and the garbage's too: then the record before may be given up.
            let n = before.len() - usize::from(at > 24 && seed.is_multiple_of(3));
            prop_assert_eq!(&timeless(&found.items)[..n], &before[..n]);
        }
        if !seed.is_multiple_of(3) && place > 0 {
            prop_assert!(is_among(&timeless(&found.items), &all));
            prop_assert!(!goes_on(&file, place) || found.items.len() == all.len(), "{} of {}", found.items.len(), all.len());
        }
    }

    #[test]
    fn a_wrong_length_costs_its_block_alone(
        seed in any::<u64>(),
        place in any::<prop::sample::Index>(),
        length in prop_oneof![any::<u32>(), 0u32..5000],
        target in 1usize..2048,
    ) {
        let file = pcapng(seed);
        let records: Vec<usize> = (0..file.items.len()).filter(|i| matches!(file.items[*i].1, Item::Record { .. })).collect();
        prop_assume!(!records.is_empty());
        let place = records[place.index(records.len())];
        let at = file.items[place].0;
        let mut bytes = file.bytes.clone();
        bytes[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
        prop_assume!(bytes != file.bytes);
        let found = read(&bytes, target);
        let mut rest = timeless(&items(&file));
        rest.remove(place);
        prop_assert!(is_among(&timeless(&found.items), &rest));
        prop_assert!(found.items.len() >= place);
        prop_assert!(!goes_on(&file, place + 1) || found.items.len() == rest.len(), "{} of {}: {:?}", found.items.len(), rest.len(), found.error);
    }
}

fn check_malformed(block: &[u8], expected: &str) {
    let section = [
        &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..],
        &[0xff; 8],
        &[28, 0, 0, 0],
    ]
    .concat();
    let found = read(&[&section[..], block].concat(), 4096);
    assert_eq!(found.items.len(), 1);
    let error = found.error.expect("malformed");
    assert_eq!(error.at, At::Byte(28));
    let expected = format!("{expected}; the rest is skipped, {} bytes", block.len());
    assert_eq!(error.kind, Kind::MalformedCapture(expected));
    assert_eq!(found.n_skipped, block.len() as u64);
}

#[test]
fn contradicting_blocks_are_named() {
    check_malformed(&[9, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0], "a block of 8 bytes");
    check_malformed(&[9, 0, 0, 0, 14, 0, 0, 0, 0, 0, 14, 0, 0, 0], "a block of 14 bytes");
    check_malformed(&[9, 0, 0, 0, 4, 0, 0, 4, 0, 0, 0, 0], "a block of 67108868 bytes");
    check_malformed(
        &[9, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0],
        "a block of 16 bytes ends in another length, 12",
    );
    check_malformed(
        &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 1, 2, 3, 4],
        "a section header without byte-order magic",
    );
}
