//! What threads and tasks tell of causes: one pass over what they did, in which each call that is written is put to the rules
//! (`rules/`). Where a runtime shows its tasks (goroutines), they stand for threads. Never says how far a rule holds: that is learnt
//! (`reliability.rs`). Never looks at content, never at two hosts together.

mod hand_backs;
mod minds;
mod patience;
mod rules;
pub(super) mod timeline;
mod turn;

use super::candidates::Candidates;
use super::evidence::{Evidence, Kind};
use super::pools::FREED_NS;
use crate::call::{Call, CallIndex};
use crate::dissect::sockets::log::{Channel, Signal, Sockets, Task, Wait};
pub(super) use hand_backs::Job;
use hand_backs::{Jobs, workers};
use minds::{Asking, Habits, MOST_READS, Minds, Process};
use patience::patient;
use rules::RULES;
pub(super) use rules::{Cause, Way};
use std::collections::{BTreeMap, BTreeSet};
use timeline::{Act, Actor, Entry, timeline};
pub(super) use turn::Order;

/// A wait that ends with nothing ready after this long was ended by a timer, which is a cause of its own.
const TIMER_NS: i64 = 500_000;
/// A loop that waited for so long had nothing else to do.
const IDLE_NS: i64 = 200_000;
/// Nor has one that waited, however shortly, so many times since: what it read goes from callback to callback, one a turn.
const MOST_TURNS: usize = 4;

/// What threads did, and what does not change while links are weighed.
pub(super) struct Threads<'a> {
    calls: &'a [Call],
    sockets: &'a Sockets,
    /// Per call the requests that were being served.
    possible: Vec<&'a [CallIndex]>,
    entries: Vec<Entry>,
    /// Per entry the request that its thread answers next.
    next_answers: Vec<Option<CallIndex>>,
    /// What workers give back.
    jobs: Jobs,
    answered_by: BTreeMap<(u32, CallIndex), Actor>,
    habits: Habits,
}

/// What one pass told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The cause of each call whose thread or task tells one.
    pub(super) causes: BTreeMap<CallIndex, Cause>,
    /// Which calls a worker made for one request, whichever that is.
    pub(super) jobs: BTreeMap<CallIndex, Job>,
    /// How processes' loops kept to the order of reading.
    pub(super) order: BTreeMap<Process, Order>,
}

impl<'a> Threads<'a> {
    pub(super) fn of(
        calls: &'a [Call],
        points: &[crate::point::Point],
        sockets: &'a Sockets,
        candidates: &'a [Candidates],
    ) -> Threads<'a> {
        let entries = timeline(calls, points, sockets);
        let answered_by = answering(&entries);
        let workers = workers(&entries);
        let jobs = Jobs::of(&entries, &workers, sockets);
        let habits = Habits {
            makers: makers(sockets),
            pumps: pumps(&entries),
            patient: patient(calls, &entries, &answered_by, &workers),
            workers,
            disorderly: None,
        };
        let mut possible: Vec<&[CallIndex]> = vec![&[]; calls.len()];
        for candidates in candidates {
            possible[candidates.child as usize] = &candidates.parents;
        }
        let next_answers = next_answers(&entries);
        Threads { calls, sockets, possible, entries, next_answers, jobs, answered_by, habits }
    }

    /// Remembers which loops kept to the order of reading.
    pub(super) fn learn(&mut self, told: &Told) {
        let disorderly = told.order.iter().filter(|(_, order)| !order.is_kept());
        self.habits.disorderly = Some(disorderly.map(|(process, _)| *process).collect());
    }

    /// The causes of all calls whose client is a process whose threads or tasks tell them. A reply is read for whoever its call was
    /// `given` to before; at first, for whoever the threads themselves name.
    pub(super) fn told(&self, given: Option<&[Option<CallIndex>]>, evidence: Evidence) -> Told {
        let mut pass = Pass {
            threads: self,
            given,
            evidence,
            minds: Minds { habits: &self.habits, by_actor: BTreeMap::new() },
            told: Told::default(),
            replied: BTreeMap::new(),
            word: BTreeMap::new(),
        };
        for (i, entry) in self.entries.iter().enumerate() {
            pass.takes(entry, i);
        }
        pass.told
    }

    /// The connection at whoever asks.
    fn asked_on(&self, call: CallIndex) -> u32 {
        self.calls[call as usize].spans[0].flow
    }

    fn flow_of(&self, call: CallIndex) -> Option<u32> {
        self.calls[call as usize].spans.last().map(|span| span.flow)
    }
}

/// Once through all that threads did.
struct Pass<'a> {
    threads: &'a Threads<'a>,
    given: Option<&'a [Option<CallIndex>]>,
    evidence: Evidence,
    minds: Minds<'a>,
    told: Told,
    /// Per connection, when a reply was read on it last.
    replied: BTreeMap<u32, i64>,
    /// What was given and not taken, by where it lies: what whoever gave it had on their minds; `None`: nobody knows.
    word: BTreeMap<(u32, Channel), Option<Vec<CallIndex>>>,
}

impl Pass<'_> {
    fn takes(&mut self, entry: &Entry, place: usize) {
        let wait = self.threads.sockets.wait_before(entry.host, entry.tid, entry.at_ns);
        if let Some(done_ns) = done_before(self.threads.sockets, entry) {
            self.minds.of_mut(entry.host, entry.actor()).turn.ends_before(done_ns);
        }
        match entry.act {
            // A task's reads are its thread's too: what the thread runs next may come of them.
            Act::Other => self.each_mind(entry, |mind, _| mind.read(None, entry.at_ns)),
            Act::Signals(signal) => self.signals(entry, signal),
            Act::Request(call) => self.reads_request(entry, call),
            Act::Reply(call) => {
                self.replied.insert(self.threads.asked_on(call), entry.at_ns);
                let causes = self.reply_causes(call);
                self.each_mind(entry, |mind, is_own| {
                    mind.read(causes.clone(), entry.at_ns);
                    if is_own {
                        mind.turn.read(call, causes.clone().unwrap_or_default(), entry.at_ns);
                    }
                });
            }
            Act::Answers(call) => {
                let mind = self.minds.of_mut(entry.host, entry.actor());
                if let Some(is_in_order) = mind.turn.is_in_order(call) {
                    self.told.order.entry(entry.process()).or_default().count(is_in_order);
                }
                self.each_mind(entry, |mind, _| {
                    mind.closes(|open| open == call);
                    mind.turn.wrote(|cause| cause == call);
                    mind.wrote();
                });
            }
            Act::Asks(call) | Act::Connects(call) => self.asks(entry, call, place, wait),
        }
    }

    /// One thread tells another what it has on its mind.
    fn signals(&mut self, entry: &Entry, signal: Signal) {
        let host = entry.host;
        let own = Actor::Thread(entry.tid);
        let is_worker = self.minds.habits.workers.contains(&(host, entry.tid));
        match signal {
            Signal::Wakes(woken) => {
                let causes = self.minds.of_mut(host, own).tells();
                let woken = self.minds.of_mut(host, Actor::Thread(woken));
                woken.is_told(causes, entry.at_ns);
            }
            Signal::Gives(channel) => {
                let mind = self.minds.of_mut(host, own);
                let given = mind.tells();
                if is_worker {
                    mind.gave();
                }
                let word = self.word.entry((host, channel)).or_insert_with(|| Some(Vec::new()));
                let both = word.take().zip(given).map(|(before, given)| [before, given].concat());
                // What nobody takes would grow for ever.
                *word = both.filter(|causes| causes.len() <= MOST_READS);
            }
            Signal::Takes(channel) => {
                let causes = self.word.remove(&(host, channel)).flatten();
                self.minds.of_mut(host, own).read(causes, entry.at_ns);
            }
            Signal::Unknown => self.minds.of_mut(host, own).read(None, entry.at_ns),
        }
    }

    fn reads_request(&mut self, entry: &Entry, call: CallIndex) {
        let threads = self.threads;
        let answering = threads.answered_by.get(&(entry.host, call));
        let is_answered_by_reader = answering.is_none_or(|by| *by == entry.actor());
        // One connection, one request at a time: the one before it is over, even if its answer was lost.
        let connection = (!is_multiplexed(&threads.calls[call as usize]))
            .then(|| threads.flow_of(call))
            .flatten();
        self.each_mind(entry, |mind, is_own| {
            mind.read(Some(vec![call]), entry.at_ns);
            if connection.is_some() {
                mind.closes(|open| threads.flow_of(open) == connection);
            }
            if is_own {
                mind.turn.read(call, vec![call], entry.at_ns);
                if is_answered_by_reader {
                    mind.opens(call, entry.at_ns);
                }
            }
        });
    }

    /// Who a reply is read for.
    fn reply_causes(&self, call: CallIndex) -> Option<Vec<CallIndex>> {
        match self.given {
            Some(given) => given[call as usize].map(|parent| vec![parent]),
            None => self.told.causes.get(&call).map(|cause| cause.parents.clone()),
        }
    }

    fn asks(&mut self, entry: &Entry, call: CallIndex, place: usize, wait: Option<&Wait>) {
        let asking = Asking {
            entry,
            possible: self.threads.possible[call as usize],
            next: self.threads.next_answers[place],
            given_back: self.threads.jobs.at(place),
            waited_ns: wait.map_or(i64::MIN, |wait| wait.exit_ns),
            by_timer: wait.is_some_and(|wait| wait.n_ready == 0 && wait.lasted_ns() > TIMER_NS),
            is_freed: self
                .replied
                .get(&self.threads.asked_on(call))
                .is_some_and(|replied| entry.at_ns.saturating_sub(*replied) <= FREED_NS),
        };
        if self.evidence.uses(Kind::HandOffs)
            && let Some(back) = asking.given_back.filter(|_| self.minds.is_patient(&asking))
        {
            self.told.jobs.insert(call, back.job);
        }
        // Whoever connected for somebody has asked for them.
        let is_told = self.told.causes.contains_key(&call);
        let mut rules = RULES.iter().filter(|rule| self.evidence.uses(rule.kind()));
        let tells = || rules.find_map(|rule| rule.cause(&asking, &self.minds));
        let cause = (!is_told).then(tells).flatten();
        if cause.is_some() || matches!(entry.act, Act::Asks(_)) {
            self.each_mind(entry, |mind, _| mind.wrote());
        }
        if let Some(cause) = cause {
            let is_cause = |of: CallIndex| cause.parents.contains(&of);
            self.minds.of_mut(entry.host, entry.actor()).turn.wrote(is_cause);
            self.told.causes.insert(call, cause);
        }
    }

    /// Those of a thread and of the task that it runs; whether it is the one that acts.
    fn each_mind(&mut self, entry: &Entry, mut does: impl FnMut(&mut minds::Mind, bool)) {
        let own = entry.actor();
        for actor in
            [Actor::Thread(entry.tid), own].into_iter().take(1 + usize::from(entry.task.is_some()))
        {
            does(self.minds.of_mut(entry.host, actor), actor == own);
        }
    }
}

/// What a loop read or was given before that led to nothing, or to all that it led to.
fn done_before(sockets: &Sockets, entry: &Entry) -> Option<i64> {
    let waits = sockets.waits_before(entry.host, entry.tid, entry.at_ns);
    let idle = waits.last().filter(|wait| wait.lasted_ns() > IDLE_NS);
    let done = idle.or_else(|| waits.len().checked_sub(MOST_TURNS).map(|i| &waits[i]));
    done.map(|wait| wait.exit_ns)
}

/// Whether several requests are open on one connection by design.
fn is_multiplexed(call: &Call) -> bool {
    matches!(call.protocol.as_str(), "http2" | "grpc")
}

/// For each entry the request that its thread answers next.
fn next_answers(entries: &[Entry]) -> Vec<Option<CallIndex>> {
    let mut next: BTreeMap<(u32, u32), CallIndex> = BTreeMap::new();
    let mut found = vec![None; entries.len()];
    for (entry, found) in entries.iter().zip(&mut found).rev() {
        let thread = (entry.host, entry.tid);
        *found = next.get(&thread).copied();
        if let Act::Answers(call) = entry.act {
            next.insert(thread, call);
        }
    }
    found
}

/// Who answered each call, where known.
fn answering(entries: &[Entry]) -> BTreeMap<(u32, CallIndex), Actor> {
    let answers = entries.iter().filter_map(|entry| match entry.act {
        Act::Answers(call) => Some(((entry.host, call), entry.actor())),
        _ => None,
    });
    answers.collect()
}

/// The task that made each one.
pub(super) fn makers(sockets: &Sockets) -> BTreeMap<(u32, Task), Task> {
    let mut makers = BTreeMap::new();
    for ((host, _), switches) in &sockets.tasks {
        for switch in switches {
            if let Some(creator) = switch.creator {
                makers.insert((*host, switch.task), creator);
            }
        }
    }
    makers
}

/// Tasks that ask and never read a message: they do so for others, whoever made them (the writer of an HTTP client's connection).
fn pumps(entries: &[Entry]) -> BTreeSet<(u32, Task)> {
    let tasks = |acts: fn(&Act) -> bool| -> BTreeSet<(u32, Task)> {
        let of = entries.iter().filter(|entry| acts(&entry.act));
        of.filter_map(|entry| Some((entry.host, entry.task?))).collect()
    };
    let asking = tasks(|act| matches!(act, Act::Asks(_)));
    let reading = tasks(|act| matches!(act, Act::Request(_) | Act::Reply(_)));
    asking.difference(&reading).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_answer_is_known_backwards() {
        let entry = |at_ns, tid, act| Entry { host: 0, at_ns, tid, task: None, act, pid: 5 };
        let entries = [
            entry(1, 1, Act::Request(0)),
            entry(2, 2, Act::Asks(1)),
            entry(3, 2, Act::Reply(1)),
            entry(4, 2, Act::Answers(0)),
        ];
        assert_eq!(next_answers(&entries), [None, Some(0), Some(0), None]);
    }
}
