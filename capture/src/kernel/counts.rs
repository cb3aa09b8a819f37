//! What a probe's programs counted on each processor: records made, records lost. Never resets a counter: differences are
//! taken here.

use afterpath_formats::table::losses::LossRow;
use aya::maps::{MapData, PerCpuArray};

/// One counter of a program, in the order of its `enum count`.
pub(crate) struct Count {
    /// The cause of loss it is; `None`: it counts records made.
    pub(crate) cause: Option<&'static str>,
}

/// A program's counters.
pub(crate) struct Counts {
    source: &'static str,
    map: PerCpuArray<MapData, u64>,
    counts: &'static [Count],
    /// Per counter and processor, as last read.
    before: Vec<Vec<u64>>,
}

impl Counts {
    pub(crate) fn new(
        source: &'static str,
        map: PerCpuArray<MapData, u64>,
        counts: &'static [Count],
    ) -> Counts {
        Counts { source, map, counts, before: vec![Vec::new(); counts.len()] }
    }

    /// What was lost since the last call, by cause and processor.
    pub(crate) fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = Vec::new();
        for (i, Count { cause }) in self.counts.iter().enumerate() {
            let (Some(cause), Ok(now)) = (cause, self.map.get(&(i as u32), 0)) else { continue };
            for (cpu, value) in now.iter().enumerate() {
                let before = self.before[i].get(cpu).copied().unwrap_or(0);
                if *value > before {
                    losses.push(LossRow {
                        source: self.source.to_string(),
                        cause: cause.to_string(),
                        count: (value - before) as i64,
                        cpu: Some(cpu as u32),
                        ..LossRow::default()
                    });
                }
            }
            self.before[i] = now.to_vec();
        }
        losses
    }

    /// Everything lost so far.
    pub(crate) fn n_lost(&self) -> u64 {
        self.sum(|count| count.cause.is_some())
    }

    /// The sum of all processors of the counters that are no cause of loss.
    pub(crate) fn n_records(&self) -> u64 {
        self.sum(|count| count.cause.is_none())
    }

    fn sum(&self, of: impl Fn(&Count) -> bool) -> u64 {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| of(count));
        let sum = |i: usize| self.map.get(&(i as u32), 0).map_or(0, |now| now.iter().sum::<u64>());
        counts.map(|(i, _)| sum(i)).sum()
    }
}
