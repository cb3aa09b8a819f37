//! Packets at points of the network stack, headers only: what `drops` and `kernel_path` have in common. The records are those of
//! `passage.bpf.h`. Never a flow: which one a header belongs to is found offline.

use super::ringed::{Decoder, Ringed};
use crate::error::Result;
use crate::kernel::{Count, Object, fill};
use crate::settings::Settings;
use crate::source::{Rows, Source};
use afterpath_formats::table::kernel_path::{self, KernelPathRow, KernelPathRows};

/// The order of `enum count`.
const COUNTS: &[Count] = &[Count { cause: None }, Count { cause: Some("ring-full") }];

/// Bytes of a record before its header (`PASSAGE_HEAD`).
const HEAD: usize = 40;

/// Rows gathered before they are handed on.
const BATCH_ROWS: usize = 8192;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passage<'a> {
    pub(super) time_ns: i64,
    /// Address in the kernel's code; 0: none.
    pub(super) location: u64,
    /// The program's number for the point.
    pub(super) point: u32,
    /// The kernel's number of the drop reason.
    pub(super) reason: u32,
    /// 0: no device.
    pub(super) ifindex: u32,
    /// 0: unknown.
    pub(super) netns: u32,
    pub(super) length: u32,
    pub(super) header: &'a [u8],
}

/// Reads one record; `None` for what is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Passage<'_>> {
    let head = bytes.get(..HEAD)?;
    let u32_at = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let u64_at = |at: usize| u64::from_ne_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    Some(Passage {
        time_ns: i64::try_from(u64_at(0)).ok()?,
        location: u64_at(8),
        point: u32_at(16),
        reason: u32_at(20),
        ifindex: u32_at(24),
        netns: u32_at(28),
        length: u32_at(32),
        header: bytes.get(HEAD..)?.get(..u32_at(36) as usize)?,
    })
}

/// What a probe calls a passage: the point, and the drop reason if it ended there.
pub(super) trait Names {
    fn of<'a>(&'a self, passage: &Passage<'_>) -> (&'a str, Option<&'a str>);
}

/// Records → rows.
struct Passages<N> {
    names: N,
    rows: KernelPathRows,
}

impl<N: Names> Decoder for Passages<N> {
    fn record(&mut self, record: &[u8]) -> bool {
        let Some(passage) = parse(record) else { return false };
        let (point, drop_reason) = self.names.of(&passage);
        self.rows.push(&KernelPathRow {
            time_ns: passage.time_ns,
            point,
            ifindex: (passage.ifindex != 0).then_some(passage.ifindex),
            netns: (passage.netns != 0).then_some(passage.netns),
            header: passage.header,
            length: passage.length,
            drop_reason,
        });
        true
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= BATCH_ROWS
    }

    fn hand_on(&mut self, rows: &mut dyn Rows) {
        if !self.rows.is_empty() {
            rows.append(&kernel_path::TABLE, self.rows.finish());
        }
    }
}

/// Loads and attaches the program `object` of the probe `name`.
pub(super) fn start(
    name: &'static str,
    object: &[u8],
    names: impl Names + 'static,
    settings: &Settings,
) -> Result<Box<dyn Source>> {
    let filter = &settings.filter;
    let globals: &[(&'static str, &u32)] = &[
        ("filter_ports", &u32::from(!filter.ports.is_empty())),
        ("filter_namespaces", &u32::from(!filter.namespaces.is_empty())),
    ];
    let ring_bytes = (settings.memory_bytes / 64).clamp(1 << 12, 1 << 28) as u32;
    let mut object = Object::load(name, object, globals, ring_bytes)?;
    fill(name, &mut object.ebpf, "wanted_ports", &filter.ports)?;
    fill(name, &mut object.ebpf, "wanted_namespaces", &filter.namespaces)?;
    object.attach()?;
    let passages = Passages { names, rows: KernelPathRows::default() };
    Ok(Box::new(Ringed::begin(name, object, COUNTS, settings.sample, passages)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_is_read_by_its_offsets() {
        let mut bytes = Vec::new();
        bytes.extend(7u64.to_ne_bytes());
        bytes.extend(8u64.to_ne_bytes());
        [1u32, 2, 3, 4, 60, 2].iter().for_each(|word| bytes.extend(word.to_ne_bytes()));
        bytes.extend([0x45, 0, 9]);
        let expected = Passage {
            time_ns: 7,
            location: 8,
            point: 1,
            reason: 2,
            ifindex: 3,
            netns: 4,
            length: 60,
            header: &[0x45, 0],
        };
        assert_eq!(parse(&bytes), Some(expected));
        assert_eq!(parse(&bytes[..41]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
