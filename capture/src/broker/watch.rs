//! Which processes to look at, once a second: young ones each time, for they load and become something yet; old ones when their memory
//! map grew or shrank, as a library that is loaded late makes it, and now and then. Never looks at a map itself.

use std::collections::HashMap;
use std::fs;

/// Looks at a process after which it is old.
const YOUNG_LOOKS: u32 = 10;
/// An old process is looked at once in so many rounds.
const OLD_ROUNDS: u32 = 15;

/// Processes and how often each was looked at.
#[derive(Default)]
pub(super) struct Watch {
    looks: HashMap<u32, Look>,
    round: u32,
}

/// The last look at a process.
#[derive(Clone, Copy)]
struct Look {
    n_looks: u32,
    /// Pages of its address space.
    n_pages: u64,
}

impl Watch {
    /// Processes to look at now, the old ones seldom: what only a new program changes is told otherwise. To be asked once a second.
    pub(super) fn due(&mut self) -> Vec<u32> {
        self.of(processes().map(|id| (id, 0)).collect())
    }

    /// The same, and those whose memory map changed.
    pub(super) fn due_or_changed(&mut self) -> Vec<u32> {
        self.of(processes().map(|id| (id, n_pages(id))).collect())
    }

    /// Whether it was there when last asked.
    pub(super) fn is_there(&self, process: u32) -> bool {
        self.looks.contains_key(&process)
    }

    fn of(&mut self, processes: Vec<(u32, u64)>) -> Vec<u32> {
        self.round = self.round.wrapping_add(1);
        let before = std::mem::take(&mut self.looks);
        let mut due = Vec::new();
        for (id, n_pages) in processes {
            let last = before.get(&id);
            let n_looks = last.map_or(0, |last| last.n_looks).saturating_add(1);
            self.looks.insert(id, Look { n_looks, n_pages });
            let changed = last.is_some_and(|last| last.n_pages != n_pages);
            if n_looks <= YOUNG_LOOKS
                || changed
                || id.wrapping_add(self.round).is_multiple_of(OLD_ROUNDS)
            {
                due.push(id);
            }
        }
        due
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Pages of a process's address space; none where that can't be read.
fn n_pages(id: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{id}/statm")).unwrap_or_default();
    text.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_young_are_looked_at_each_time_and_the_old_now_and_then() {
        let mut watch = Watch::default();
        for _ in 0..YOUNG_LOOKS {
            assert_eq!(watch.of(vec![(7, 100)]), [7]);
        }
        let n_looks: usize = (0..2 * OLD_ROUNDS).map(|_| watch.of(vec![(7, 100)]).len()).sum();
        assert_eq!(n_looks, 2);
        let n_looks: usize = (0..OLD_ROUNDS).map(|n| watch.of(vec![(7, u64::from(n))]).len()).sum();
        assert_eq!(n_looks, OLD_ROUNDS as usize, "its memory changes");
        watch.of(Vec::new());
        assert!(!watch.is_there(7));
        assert_eq!(watch.of(vec![(7, 100)]), [7], "another process of that number is young");
    }
}
