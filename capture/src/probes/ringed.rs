//! A probe whose program delivers through a ring: what all of them have in common, from loading to detaching. What a record means
//! is its decoder's business alone.

use crate::error::Result;
use crate::kernel::{Count, Counts, Detaching, Object, Window};
use crate::settings::Sample;
use crate::source::{Rows, Source};
use afterpath_formats::table::losses::LossRow;
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};

/// Records → rows of one probe.
pub(super) trait Decoder {
    /// Takes one record; false: it is none.
    fn record(&mut self, record: &[u8]) -> bool;

    /// Whether so many rows wait that they should be handed on.
    fn is_full(&self) -> bool {
        false
    }

    /// Hands on the rows that wait.
    fn hand_on(&mut self, rows: &mut dyn Rows);

    /// How many records were lost by now: whoever follows streams must know before it reads on.
    fn lost(&mut self, _n_lost: u64) {}

    /// Once a second, see [`Source::each_second`].
    fn each_second(&mut self, _now_ns: i64, _rows: &mut dyn Rows) {}
}

/// The kernel's side of a probe, and what becomes of its records.
pub(super) struct Ringed<D> {
    name: &'static str,
    /// `None` once it is being detached.
    pub(super) ebpf: Option<Ebpf>,
    ring: RingBuf<MapData>,
    counts: Counts,
    window: Window,
    /// What becomes of records.
    pub(super) decoder: D,
    n_unreadable: i64,
    detaching: Option<Detaching>,
}

impl<D: Decoder> Ringed<D> {
    /// Opens the window of an object whose programs are attached. `counts` stand in the order of its `enum count`.
    pub(super) fn begin(
        name: &'static str,
        mut object: Object,
        counts: &'static [Count],
        sample: Option<Sample>,
        decoder: D,
    ) -> Result<Ringed<D>> {
        Ok(Ringed {
            name,
            ring: object.ring()?,
            counts: object.counts(counts)?,
            window: object.window(sample)?,
            ebpf: Some(object.ebpf),
            decoder,
            n_unreadable: 0,
            detaching: None,
        })
    }
}

impl<D: Decoder> Source for Ringed<D> {
    fn drain(&mut self, rows: &mut dyn Rows) {
        // A window that can't be moved is over: nothing is recorded that should not be.
        let _ = self.window.follow();
        self.decoder.lost(self.counts.n_lost());
        while let Some(item) = self.ring.next() {
            if !self.decoder.record(&item) {
                self.n_unreadable += 1;
            }
            if self.decoder.is_full() {
                self.decoder.hand_on(rows);
            }
        }
        self.decoder.hand_on(rows);
    }

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        self.decoder.each_second(now_ns, rows);
    }

    fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = self.counts.losses();
        let n_unreadable = std::mem::take(&mut self.n_unreadable);
        if n_unreadable > 0 {
            losses.push(LossRow {
                source: self.name.into(),
                cause: "unreadable-record".into(),
                count: n_unreadable,
                ..LossRow::default()
            });
        }
        losses
    }

    fn n_made(&mut self) -> Option<u64> {
        Some(self.counts.n_records())
    }

    fn stop(&mut self) {
        self.window.close();
        self.counts.detached();
        self.detaching = self.ebpf.take().map(Detaching::begin);
    }
}
