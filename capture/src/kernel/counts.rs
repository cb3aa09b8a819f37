//! What a probe's programs counted on each processor, records made and records lost, and how often the kernel did not run them. Never
//! resets a counter: differences are taken here. Never asks by bpf(2): while a map is read so, no program runs on that processor.
#![allow(unsafe_code, reason = "a map in shared memory has no safe interface")]

use afterpath_formats::table::losses::LossRow;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// `MAX_PROCESSORS` of kernel.bpf.h.
const MAX_PROCESSORS: usize = 1024;

/// One counter of a program, in the order of its `enum count`.
pub(crate) struct Count {
    /// The cause of loss it is; `None`: it counts records made.
    pub(crate) cause: Option<&'static str>,
}

/// A program's counters.
pub(crate) struct Counts {
    source: &'static str,
    memory: NonNull<u64>,
    counts: &'static [Count],
    /// As last told, like the memory: by processor, then by counter.
    told: Vec<u64>,
    /// Descriptors of the programs, and how often they were not run.
    programs: Vec<RawFd>,
    n_missed: u64,
}

// SAFETY: the memory belongs to this value alone, and is only read, atomically.
unsafe impl Send for Counts {}

impl Counts {
    /// Maps the counters' map into memory. `programs` stay open as long as they are attached.
    pub(super) fn new(
        source: &'static str,
        map: BorrowedFd<'_>,
        counts: &'static [Count],
        programs: Vec<RawFd>,
    ) -> io::Result<Counts> {
        let n_values = MAX_PROCESSORS * counts.len();
        // SAFETY: a new mapping; the map has as many values, of eight bytes each.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                n_values * 8,
                libc::PROT_READ,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        let memory = match NonNull::new(memory.cast::<u64>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => memory,
            _ => return Err(io::Error::last_os_error()),
        };
        Ok(Counts { source, memory, counts, told: vec![0; n_values], programs, n_missed: 0 })
    }

    fn value(&self, at: usize) -> u64 {
        assert!(at < self.told.len(), "there are as many values as were told");
        // SAFETY: within the mapping; the kernel adds to the word atomically.
        unsafe { AtomicU64::from_ptr(self.memory.as_ptr().add(at)) }.load(Ordering::Relaxed)
    }

    /// What was lost since the last call, by cause and processor.
    pub(crate) fn losses(&mut self) -> Vec<LossRow> {
        let mut losses = Vec::new();
        for at in 0..self.told.len() {
            let (cpu, n) = (at / self.counts.len(), at % self.counts.len());
            let now = self.value(at);
            if let (Some(cause), true) = (self.counts[n].cause, now > self.told[at]) {
                losses.push(LossRow {
                    source: self.source.to_string(),
                    cause: cause.to_string(),
                    count: (now - self.told[at]) as i64,
                    cpu: Some(cpu as u32),
                    ..LossRow::default()
                });
            }
            self.told[at] = now;
        }
        let n_missed = self.programs.iter().filter_map(|fd| missed(*fd)).sum::<u64>();
        if n_missed > self.n_missed {
            losses.push(LossRow {
                source: self.source.to_string(),
                cause: "missed-run".to_string(),
                count: (n_missed - self.n_missed) as i64,
                ..LossRow::default()
            });
            self.n_missed = n_missed;
        }
        losses
    }

    /// Nobody's descriptors any more: the programs are being detached.
    pub(crate) fn detached(&mut self) {
        self.programs.clear();
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
        let is_of = |at: &usize| of(&self.counts[at % self.counts.len()]);
        (0..self.told.len()).filter(is_of).map(|at| self.value(at)).sum()
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, unmapped once.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.told.len() * 8) };
    }
}

/// How often the kernel did not run a program because another one, or a map's reader, had the processor.
fn missed(program: RawFd) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{program}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}
