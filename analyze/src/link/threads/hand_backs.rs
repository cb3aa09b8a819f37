//! Workers that answer nobody give what they have found to a thread that does: which request that thread answers after it took what a
//! worker gave is known backwards. Never says whose a call is: rules do (`rules/`).

use super::done_before;
use super::timeline::{Act, Entry};
use crate::call::CallIndex;
use crate::dissect::sockets::log::{Channel, Signal, Sockets};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who gives within so long of another may have been first or second in the queue.
const CROWDED_NS: i64 = 300_000;
/// So much that was given waits for its taker; more is no longer told apart.
const MOST_GIVEN: usize = 256;

/// Host and thread.
pub(super) type Thread = (u32, u32);

/// Threads that read no request and answer none: what they ask, they ask for others.
pub(super) fn workers(entries: &[Entry]) -> BTreeSet<Thread> {
    let threads = |acts: fn(&Act) -> bool| -> BTreeSet<Thread> {
        let acting = entries.iter().filter(|entry| entry.task.is_none() && acts(&entry.act));
        acting.map(|entry| (entry.host, entry.tid)).collect()
    };
    let asking = threads(|act| matches!(act, Act::Asks(_)));
    let serving = threads(|act| matches!(act, Act::Request(_) | Act::Answers(_)));
    asking.difference(&serving).copied().collect()
}

/// A worker's work for one request, by number.
pub(in crate::link) type Job = u32;

/// What a worker did until it gave something back that a request was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GivenBack {
    pub(super) job: Job,
    /// The request; several where others gave something at about the same time.
    pub(super) requests: Vec<CallIndex>,
}

/// The jobs of all workers.
#[derive(Debug)]
pub(super) struct Jobs {
    jobs: Vec<GivenBack>,
    of_entries: Vec<Option<Job>>,
}

impl Jobs {
    pub(super) fn of(entries: &[Entry], workers: &BTreeSet<Thread>, sockets: &Sockets) -> Jobs {
        let mut gifts = Gifts::default();
        let takers = takers(entries);
        for (i, entry) in entries.iter().enumerate() {
            match entry.act {
                Act::Request(call) => drop(gifts.read.insert((entry.host, call), entry.at_ns)),
                Act::Signals(Signal::Gives(channel))
                    if workers.contains(&(entry.host, entry.tid)) =>
                {
                    if let Some(taker) = takers.get(&(entry.host, channel)) {
                        gifts.gives((entry.host, *taker), i, entry.at_ns);
                    }
                }
                Act::Signals(Signal::Takes(_)) => gifts.takes((entry.host, entry.tid), entry.at_ns),
                Act::Asks(_) | Act::Answers(_) => gifts.writes(entry, sockets),
                _ => {}
            }
        }
        gifts.jobs(entries)
    }

    /// The job that an entry is part of.
    pub(super) fn at(&self, entry: usize) -> Option<&GivenBack> {
        self.of_entries[entry].map(|job| &self.jobs[job as usize])
    }
}

/// What a worker gave, and when.
#[derive(Debug, Clone, Copy)]
struct Gift {
    entry: usize,
    given_ns: i64,
    /// When its channel was read.
    taken_ns: Option<i64>,
    /// Those that were given at about the same time have one number.
    crowd: usize,
}

/// What was given and answered. Takers work on what they were given in order, and what they write first after it is of the first gift.
/// They may see what is given before they are told (a callback queue beside the channel).
#[derive(Debug, Default)]
struct Gifts {
    /// When requests were read.
    read: BTreeMap<(u32, CallIndex), i64>,
    waiting: BTreeMap<Thread, VecDeque<Gift>>,
    last: BTreeMap<Thread, (i64, usize)>,
    /// By the gift's entry: the request that was answered with it, and its crowd.
    answered: BTreeMap<usize, (CallIndex, usize)>,
    crowds: Vec<Vec<CallIndex>>,
}

impl Gifts {
    fn gives(&mut self, taker: Thread, entry: usize, given_ns: i64) {
        let crowd = match self.last.get(&taker) {
            Some((last_ns, crowd)) if given_ns.saturating_sub(*last_ns) <= CROWDED_NS => *crowd,
            _ => {
                self.crowds.push(Vec::new());
                self.crowds.len() - 1
            }
        };
        self.last.insert(taker, (given_ns, crowd));
        let waiting = self.waiting.entry(taker).or_default();
        waiting.push_back(Gift { entry, given_ns, taken_ns: None, crowd });
        if waiting.len() > MOST_GIVEN {
            waiting.pop_front();
        }
    }

    fn takes(&mut self, taker: Thread, taken_ns: i64) {
        let waiting = self.waiting.get_mut(&taker).into_iter().flatten();
        for gift in waiting.rev().take_while(|gift| gift.taken_ns.is_none()) {
            gift.taken_ns = Some(taken_ns);
        }
    }

    fn writes(&mut self, entry: &Entry, sockets: &Sockets) {
        let Some(waiting) = self.waiting.get_mut(&(entry.host, entry.tid)) else { return };
        if let Some(done_ns) = done_before(sockets, entry) {
            let is_done = |gift: &mut Gift| gift.taken_ns.is_some_and(|at| at < done_ns);
            while waiting.pop_front_if(is_done).is_some() {}
        }
        let Act::Answers(call) = entry.act else {
            // It asks on with what it was given.
            waiting.pop_front();
            return;
        };
        let read_ns = self.read.get(&(entry.host, call));
        let is_for = |gift: &mut Gift| read_ns.is_some_and(|at| *at < gift.given_ns);
        if let Some(gift) = waiting.pop_front_if(is_for) {
            self.answered.insert(gift.entry, (call, gift.crowd));
            self.crowds[gift.crowd].push(call);
        }
    }

    /// All that a worker did since it gave something before is part of the job.
    fn jobs(self, entries: &[Entry]) -> Jobs {
        let mut jobs = Vec::with_capacity(self.answered.len());
        let mut next: BTreeMap<Thread, Option<Job>> = BTreeMap::new();
        let mut of_entries = vec![None; entries.len()];
        for (i, entry) in entries.iter().enumerate().rev() {
            let thread = (entry.host, entry.tid);
            if let Act::Signals(Signal::Gives(_)) = entry.act {
                let job = self.answered.get(&i).map(|(_, crowd)| {
                    let requests = self.crowds[*crowd].clone();
                    jobs.push(GivenBack { job: jobs.len() as Job, requests });
                    jobs.len() as Job - 1
                });
                next.insert(thread, job);
            } else {
                of_entries[i] = next.get(&thread).copied().flatten();
            }
        }
        Jobs { jobs, of_entries }
    }
}

/// Who takes what is left in each channel, where that is one thread.
fn takers(entries: &[Entry]) -> BTreeMap<(u32, Channel), u32> {
    let mut takers: BTreeMap<(u32, Channel), BTreeSet<u32>> = BTreeMap::new();
    for entry in entries {
        if let Act::Signals(Signal::Takes(channel)) = entry.act {
            takers.entry((entry.host, channel)).or_default().insert(entry.tid);
        }
    }
    let alone = |(channel, threads): (_, BTreeSet<u32>)| match threads.len() {
        1 => threads.into_iter().next().map(|thread| (channel, thread)),
        _ => None,
    };
    takers.into_iter().filter_map(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOP: u32 = 1;
    const PIPE: Channel = Channel::Pipe(1);

    /// One act each millisecond.
    fn entries(acts: &[(u32, Act)]) -> Vec<Entry> {
        let entry = |(at, (tid, act)): (i64, &(u32, Act))| Entry {
            host: 0,
            at_ns: at * 1_000_000,
            tid: *tid,
            task: None,
            act: *act,
            pid: 5,
        };
        (1..).zip(acts).map(entry).collect()
    }

    /// What each call is asked for, by who is answered after it.
    fn check(acts: &[(u32, Act)], expected: &[(CallIndex, &[CallIndex])]) {
        let entries = entries(acts);
        let jobs = Jobs::of(&entries, &workers(&entries), &Sockets::default());
        let asked = entries.iter().enumerate().filter_map(|(i, entry)| match entry.act {
            Act::Asks(call) => Some((call, jobs.at(i).map_or(&[][..], |job| &job.requests))),
            _ => None,
        });
        assert_eq!(asked.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_given_back_is_answered_in_order() {
        let gives = Act::Signals(Signal::Gives(PIPE));
        let takes = Act::Signals(Signal::Takes(PIPE));
        check(
            &[
                (LOOP, Act::Request(3)),
                (LOOP, Act::Request(4)),
                (7, Act::Asks(13)),
                (8, Act::Asks(14)),
                (8, Act::Reply(14)),
                (8, gives),
                (7, Act::Reply(13)),
                (7, Act::Asks(15)),
                (7, gives),
                (LOOP, takes),
                (LOOP, Act::Answers(4)),
                (LOOP, Act::Answers(3)),
            ],
            &[(13, &[3]), (14, &[4]), (15, &[3])],
        );
    }

    #[test]
    fn what_is_asked_on_or_came_later_is_not_of_it() {
        let gives = Act::Signals(Signal::Gives(PIPE));
        let takes = Act::Signals(Signal::Takes(PIPE));
        check(
            &[
                (LOOP, Act::Request(3)),
                (7, Act::Asks(13)),
                (7, gives),
                (LOOP, Act::Request(4)),
                (LOOP, Act::Answers(4)),
                (LOOP, takes),
                (LOOP, Act::Asks(14)),
                (LOOP, Act::Answers(3)),
            ],
            &[(13, &[]), (14, &[])],
        );
    }

    #[test]
    fn of_two_that_gave_at_about_the_same_time_either_may_have_been_first() {
        let gives = Act::Signals(Signal::Gives(PIPE));
        let mut entries = entries(&[
            (LOOP, Act::Request(3)),
            (LOOP, Act::Request(4)),
            (7, Act::Asks(13)),
            (8, Act::Asks(14)),
            (7, gives),
            (8, gives),
            (LOOP, Act::Signals(Signal::Takes(PIPE))),
            (LOOP, Act::Answers(4)),
            (LOOP, Act::Answers(3)),
        ]);
        entries[5].at_ns = entries[4].at_ns + CROWDED_NS;
        let jobs = Jobs::of(&entries, &workers(&entries), &Sockets::default());
        let of = |entry: usize| jobs.at(entry).map(|job| (job.job, job.requests.clone()));
        assert_eq!([of(2), of(3)], [Some((1, vec![4, 3])), Some((0, vec![4, 3]))]);
    }
}
