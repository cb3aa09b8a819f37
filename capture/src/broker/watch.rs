//! Which processes to look at, once a second: young ones each time, for they load and become something yet; old ones now and then.
//! Never looks itself.

use std::collections::HashMap;
use std::fs;

/// Looks at a process after which it is old.
const YOUNG_LOOKS: u32 = 10;
/// An old process is looked at once in so many rounds.
const OLD_ROUNDS: u32 = 15;

/// Processes and how often each was looked at.
#[derive(Default)]
pub(super) struct Watch {
    looks: HashMap<u32, u32>,
    round: u32,
}

impl Watch {
    /// Processes to look at now. To be asked once a second.
    pub(super) fn due(&mut self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        self.of(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }

    /// Whether it was there when last asked.
    pub(super) fn is_there(&self, process: u32) -> bool {
        self.looks.contains_key(&process)
    }

    fn of(&mut self, ids: Vec<u32>) -> Vec<u32> {
        self.round = self.round.wrapping_add(1);
        let before = std::mem::take(&mut self.looks);
        let mut due = Vec::new();
        for id in ids {
            let looks = before.get(&id).copied().unwrap_or(0).saturating_add(1);
            self.looks.insert(id, looks);
            if looks <= YOUNG_LOOKS || id.wrapping_add(self.round) % OLD_ROUNDS == 0 {
                due.push(id);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_young_are_looked_at_each_time_and_the_old_now_and_then() {
        let mut watch = Watch::default();
        for _ in 0..YOUNG_LOOKS {
            assert_eq!(watch.of(vec![7]), [7]);
        }
        let n_looks: usize = (0..2 * OLD_ROUNDS).map(|_| watch.of(vec![7]).len()).sum();
        assert_eq!(n_looks, 2);
        watch.of(Vec::new());
        assert!(!watch.is_there(7));
        assert_eq!(watch.of(vec![7]), [7], "another process of that number is young");
    }
}
