//! Workers that answer nobody give what they have found to a thread that does: which request that thread answers after it took what a
//! worker gave is known backwards. Never says whose a call is: rules do (`rules/`).

use super::done_before;
use super::timeline::{Act, Entry};
use crate::call::CallIndex;
use crate::dissect::sockets::log::{Channel, Signal, Sockets};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Who gives within so long of another may have been first or second in the queue.
const CROWDED_NS: i64 = 300_000;
/// So many before and after it are looked at.
const MOST_CROWDED: usize = 8;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GivenBack<'a> {
    pub(super) job: Job,
    /// The request; several where others gave something at about the same time.
    pub(super) requests: &'a [CallIndex],
}

/// The jobs of all workers.
#[derive(Debug)]
pub(super) struct Jobs {
    /// By job.
    requests: Vec<Vec<CallIndex>>,
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
    pub(super) fn at(&self, entry: usize) -> Option<GivenBack<'_>> {
        let job = self.of_entries[entry]?;
        Some(GivenBack { job, requests: &self.requests[job as usize] })
    }
}

/// What a worker gave, and when.
#[derive(Debug, Clone, Copy)]
struct Gift {
    entry: usize,
    given_ns: i64,
    /// When its channel was read.
    taken_ns: Option<i64>,
}

/// What was given and answered. Takers work on what they were given in order, and what they write first after it is of the first gift.
/// They may see what is given before they are told (a callback queue beside the channel).
#[derive(Debug, Default)]
struct Gifts {
    /// When requests were read.
    read: BTreeMap<(u32, CallIndex), i64>,
    waiting: BTreeMap<Thread, VecDeque<Gift>>,
    /// By taker: gifts with the requests that were answered with them, in order.
    answered: BTreeMap<Thread, Vec<(Gift, CallIndex)>>,
}

impl Gifts {
    fn gives(&mut self, taker: Thread, entry: usize, given_ns: i64) {
        let waiting = self.waiting.entry(taker).or_default();
        waiting.push_back(Gift { entry, given_ns, taken_ns: None });
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
        let taker = (entry.host, entry.tid);
        let Some(waiting) = self.waiting.get_mut(&taker) else { return };
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
            self.answered.entry(taker).or_default().push((gift, call));
        }
    }

    /// All that a worker did since it gave something before is part of the job.
    fn jobs(self, entries: &[Entry]) -> Jobs {
        let mut requests = Vec::new();
        let mut job_of: BTreeMap<usize, Job> = BTreeMap::new();
        for answered in self.answered.values() {
            for (place, (gift, _)) in answered.iter().enumerate() {
                job_of.insert(gift.entry, requests.len() as Job);
                requests.push(crowd(answered, place));
            }
        }
        let mut next: BTreeMap<Thread, Option<Job>> = BTreeMap::new();
        let mut of_entries = vec![None; entries.len()];
        for (i, entry) in entries.iter().enumerate().rev() {
            let thread = (entry.host, entry.tid);
            if let Act::Signals(Signal::Gives(_)) = entry.act {
                next.insert(thread, job_of.get(&i).copied());
            } else {
                of_entries[i] = next.get(&thread).copied().flatten();
            }
        }
        Jobs { requests, of_entries }
    }
}

/// The requests that were answered with a gift or with those about it.
fn crowd(answered: &[(Gift, CallIndex)], place: usize) -> Vec<CallIndex> {
    let given_ns = answered[place].0.given_ns;
    let is_near = |(gift, _): &&(Gift, CallIndex)| {
        gift.given_ns.abs_diff(given_ns) <= CROWDED_NS.unsigned_abs()
    };
    let before = answered[..place].iter().rev().take(MOST_CROWDED).take_while(is_near);
    let behind = answered[place..].iter().take(MOST_CROWDED + 1).take_while(is_near);
    before.chain(behind).map(|(_, call)| *call).collect()
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
            Act::Asks(call) => Some((call, jobs.at(i).map_or(&[][..], |job| job.requests))),
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

    /// Workers that give so long after one another: whose gifts are told apart from whose.
    fn check_crowd(given_ns: &[i64], expected: &[&[CallIndex]]) {
        let gives = Act::Signals(Signal::Gives(PIPE));
        let n = given_ns.len() as u32;
        let mut acts: Vec<(u32, Act)> = (0..n).map(|i| (LOOP, Act::Request(i))).collect();
        acts.extend((0..n).map(|i| (7 + i, Act::Asks(100 + i))));
        acts.extend((0..n).map(|i| (7 + i, gives)));
        acts.push((LOOP, Act::Signals(Signal::Takes(PIPE))));
        acts.extend((0..n).map(|i| (LOOP, Act::Answers(i))));
        let mut entries = entries(&acts);
        let first = entries[2 * given_ns.len()].at_ns;
        for (entry, at_ns) in entries[2 * given_ns.len()..].iter_mut().zip(given_ns) {
            entry.at_ns = first + at_ns;
        }
        let jobs = Jobs::of(&entries, &workers(&entries), &Sockets::default());
        let of = |i: usize| {
            let mut requests = jobs.at(given_ns.len() + i).expect("it has a job").requests.to_vec();
            requests.sort_unstable();
            requests
        };
        let found: Vec<_> = (0..given_ns.len()).map(of).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn of_two_that_gave_at_about_the_same_time_either_may_have_been_first() {
        check_crowd(&[0, CROWDED_NS], &[&[0, 1], &[0, 1]]);
        check_crowd(&[0, CROWDED_NS + 1], &[&[0], &[1]]);
        // A crowd has an end, however long the row is.
        check_crowd(&[0, CROWDED_NS, 2 * CROWDED_NS], &[&[0, 1], &[0, 1, 2], &[1, 2]]);
    }

    #[test]
    fn a_busy_row_stays_bounded() {
        let mut answered = Vec::new();
        for entry in 0..1_000 {
            answered.push((Gift { entry, given_ns: 0, taken_ns: None }, entry as CallIndex));
        }
        assert_eq!(crowd(&answered, 500).len(), 2 * MOST_CROWDED + 1);
    }
}
