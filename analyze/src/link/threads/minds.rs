//! What threads and tasks have on their minds while the recording passes: what they read, what they have open. Never decides whose a
//! call is: rules do (`rules/`).

use super::hand_backs::{GivenBack, Thread};
use super::rules::{Cause, Way};
use super::timeline::{Actor, Entry};
use super::turn::Turn;
use crate::call::CallIndex;
use crate::dissect::sockets::log::Task;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Host and process.
pub(super) type Process = (u32, u32);

/// A call that is being written.
pub(super) struct Asking<'a> {
    pub(super) entry: &'a Entry,
    /// The requests that were being served.
    pub(super) possible: &'a [CallIndex],
    /// The request that its thread answers next.
    pub(super) next: Option<CallIndex>,
    /// What its thread does until it gives something back.
    pub(super) given_back: Option<GivenBack<'a>>,
    /// When its thread last returned from a wait for events.
    pub(super) waited_ns: i64,
    /// Whether a timer ended that wait.
    pub(super) by_timer: bool,
    /// Whether its connection was another call's until just now: somebody may have waited for it.
    pub(super) is_freed: bool,
}

impl Asking<'_> {
    pub(super) fn cause(&self, parents: Vec<CallIndex>, way: Way, reason: String) -> Cause {
        Cause { parents, way, process: self.entry.process(), reason }
    }

    pub(super) fn is_possible(&self, parent: CallIndex) -> bool {
        self.possible.binary_search(&parent).is_ok()
    }
}

/// What is known of processes as wholes.
#[derive(Debug, Default)]
pub(super) struct Habits {
    /// Who made each task.
    pub(super) makers: BTreeMap<(u32, Task), Task>,
    /// Tasks that write calls for others.
    pub(super) pumps: BTreeSet<(u32, Task)>,
    /// Threads that answer nobody and ask for others.
    pub(super) workers: BTreeSet<Thread>,
    /// Processes whose threads wait for their calls: those that serve, and their workers.
    pub(super) patient: BTreeSet<(Process, bool)>,
    /// Processes whose loops don't work in the order in which they read, once that was looked at.
    pub(super) disorderly: Option<BTreeSet<Process>>,
}

/// What all threads and tasks have on their minds.
pub(super) struct Minds<'a> {
    pub(super) habits: &'a Habits,
    pub(super) by_actor: BTreeMap<(u32, Actor), Mind>,
}

impl Minds<'_> {
    /// Of a thread or task.
    pub(super) fn of(&self, host: u32, actor: Actor) -> Option<&Mind> {
        self.by_actor.get(&(host, actor))
    }

    pub(super) fn of_mut(&mut self, host: u32, actor: Actor) -> &mut Mind {
        self.by_actor.entry((host, actor)).or_default()
    }

    /// Of whoever asks.
    pub(super) fn own(&self, asking: &Asking<'_>) -> Option<&Mind> {
        self.of(asking.entry.host, asking.entry.actor())
    }

    /// Whether it is a thread that waits for each of its calls.
    pub(super) fn is_patient(&self, asking: &Asking<'_>) -> bool {
        let entry = asking.entry;
        let group = (entry.process(), self.is_worker(entry));
        entry.task.is_none() && self.habits.patient.contains(&group)
    }

    /// Whether its thread answers nobody, and asks for others.
    pub(super) fn is_worker(&self, entry: &Entry) -> bool {
        self.habits.workers.contains(&(entry.host, entry.tid))
    }

    pub(super) fn is_orderly(&self, asking: &Asking<'_>) -> bool {
        let is_loop = asking.entry.task.is_none() && !self.is_worker(asking.entry);
        let known = self.habits.disorderly.as_ref().filter(|_| is_loop);
        known.is_some_and(|disorderly| !disorderly.contains(&asking.entry.process()))
    }

    pub(super) fn writes_for_others(&self, host: u32, task: Task) -> bool {
        self.habits.pumps.contains(&(host, task))
    }

    pub(super) fn maker(&self, host: u32, task: Task) -> Option<Task> {
        self.habits.makers.get(&(host, task)).copied()
    }
}

/// So many tellers are told apart; of whom more woke since it read last, others want a lock of.
const MOST_TELLERS: usize = 4;

/// So many reads are kept of one that writes nothing: a dispatcher hands on what it read just now, not what it read an hour ago.
pub(super) const MOST_READS: usize = 256;

/// What a thread was told by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Woken {
    /// What the other had read last, or was told.
    pub(super) causes: Vec<CallIndex>,
    pub(super) at_ns: i64,
}

/// What a thread or task has on its mind.
#[derive(Default)]
pub(super) struct Mind {
    /// Requests that it read, when, and has not answered.
    open: Vec<(CallIndex, i64)>,
    /// What it read since it wrote last; `None`: something nobody knows.
    reads: VecDeque<Option<Vec<CallIndex>>>,
    read_ns: i64,
    wrote: bool,
    /// Since it read last.
    woken: Vec<Woken>,
    /// What it read and has not worked on, in order.
    pub(super) turn: Turn,
}

impl Mind {
    pub(super) fn read(&mut self, causes: Option<Vec<CallIndex>>, at_ns: i64) {
        if std::mem::take(&mut self.wrote) {
            self.reads.clear();
        }
        if self.reads.len() == MOST_READS {
            self.reads.pop_front();
        }
        self.reads.push_back(causes);
        self.woken.clear();
        self.read_ns = at_ns;
    }

    /// Another thread woke it. One that has nothing on its mind has nothing to hand over.
    pub(super) fn is_told(&mut self, causes: Option<Vec<CallIndex>>, at_ns: i64) {
        if self.woken.len() <= MOST_TELLERS {
            self.woken.extend(causes.map(|causes| Woken { causes, at_ns }));
        }
    }

    /// It gave away what it had: the rest is another's.
    pub(super) fn gave(&mut self) {
        self.reads.clear();
        self.woken.clear();
    }

    /// What it was told since it read last, by all who woke it, and when last.
    pub(super) fn woken(&self) -> Option<Woken> {
        let at_ns = self.woken.last().filter(|_| self.woken.len() <= MOST_TELLERS)?.at_ns;
        let mut causes: Vec<CallIndex> =
            self.woken.iter().flat_map(|woken| woken.causes.iter().copied()).collect();
        causes.sort_unstable();
        causes.dedup();
        Some(Woken { causes, at_ns })
    }

    /// What it tells whom it wakes.
    pub(super) fn tells(&self) -> Option<Vec<CallIndex>> {
        let woken = self.woken().map(|woken| woken.causes);
        woken.or_else(|| self.adjacent().map(|(parents, _)| parents))
    }

    pub(super) fn wrote(&mut self) {
        self.wrote = true;
    }

    pub(super) fn opens(&mut self, call: CallIndex, at_ns: i64) {
        self.open.push((call, at_ns));
    }

    pub(super) fn closes(&mut self, is_over: impl Fn(CallIndex) -> bool) {
        self.open.retain(|(open, _)| !is_over(*open));
    }

    pub(super) fn open(&self) -> &[(CallIndex, i64)] {
        &self.open
    }

    pub(super) fn knows(&self) -> bool {
        !self.open.is_empty() || !self.reads.is_empty()
    }

    /// The only request that it has open.
    pub(super) fn alone(&self, asking: &Asking<'_>, way: Way) -> Option<Cause> {
        let [(call, read_ns)] = self.open[..] else { return None };
        let ago = super::rules::milliseconds(asking.entry.at_ns.saturating_sub(read_ns));
        let reason = format!("{} read it {ago} before, and had no other", asking.entry.actor());
        Some(asking.cause(vec![call], way, reason))
    }

    /// What everything that it read since it wrote last was caused by, the last [`MOST_READS`], and when it read.
    pub(super) fn adjacent(&self) -> Option<(Vec<CallIndex>, i64)> {
        let mut parents: Vec<CallIndex> = Vec::new();
        for causes in &self.reads {
            parents.extend(causes.as_ref()?);
        }
        parents.sort_unstable();
        parents.dedup();
        (!parents.is_empty()).then_some((parents, self.read_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dispatcher_hands_on_what_it_read_lately() {
        let mut mind = Mind::default();
        for call in 0..10_000 {
            mind.read(Some(vec![call]), i64::from(call));
            assert!(
                mind.tells()
                    .is_some_and(|told| { told.len() <= MOST_READS && told.last() == Some(&call) })
            );
        }
    }
}
