//! What threads and tasks tell of causes: a request that one read, and the calls it wrote before it answered. Two rules, both about one
//! of them: it has one request open at a time, or it read nothing else between the cause and the call. Where a runtime shows its tasks
//! (goroutines), they stand for threads; one that only writes for others is linked by its maker, or by the thread that it was handed
//! over on. Never looks at content, never at two hosts together.

use super::timeline::{Act, Actor, Entry, timeline};
use crate::call::{Call, CallIndex, Point};
use crate::dissect::sockets::log::{Sockets, Task};
use std::collections::{BTreeMap, BTreeSet};

/// One request open at a time.
const ALONE: f64 = 0.99;
/// Nothing else read in between.
const ADJACENT: f64 = 0.95;
/// A task that has read nothing yet was made by one that has one request open.
const MADE: f64 = 0.9;
/// So many makers up the request is looked for: Go's HTTP client dials in one task, which makes another that writes.
const MAX_MAKERS: usize = 3;
/// A wait that ends with nothing ready after this long was ended by a timer, which is a cause of its own.
const TIMER_NS: i64 = 500_000;

/// The possible causes of a call, as a thread tells them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    /// Which calls; mostly one.
    pub(super) parents: Vec<CallIndex>,
    /// How sure that it is one of them; `None`: it is a hint, which excludes nobody.
    pub(super) certainty: Option<f64>,
    /// Printable.
    pub(super) reason: String,
}

/// The causes of all calls whose client is a process whose threads or tasks tell them.
pub(super) fn causes(
    calls: &[Call],
    points: &[Point],
    sockets: &Sockets,
) -> BTreeMap<CallIndex, Cause> {
    if sockets.logs.is_empty() {
        return BTreeMap::new();
    }
    let entries = timeline(calls, points, sockets);
    let answered_by = answering(&entries);
    let mut minds =
        Minds { by_actor: BTreeMap::new(), makers: makers(sockets), pumps: pumps(&entries) };
    let mut found: BTreeMap<CallIndex, Cause> = BTreeMap::new();
    let flow_of = |call: CallIndex| calls[call as usize].spans.last().map(|span| span.flow);
    for entry in entries {
        let Entry { host, at_ns, tid, act, .. } = entry;
        // A task's reads are its thread's too: what the thread runs next may come of them.
        for actor in minds.of(&entry) {
            let mind = minds.by_actor.entry((host, actor)).or_default();
            match act {
                Act::Other => mind.read(None, at_ns),
                Act::Request(call) => {
                    mind.read(Some(vec![call]), at_ns);
                    // One connection, one request at a time: the one before it is over, even if its answer was lost.
                    let connection = flow_of(call);
                    mind.open.retain(|(open, _)| flow_of(*open) != connection);
                    let answering = answered_by.get(&(host, call));
                    if actor == entry.actor() && answering.is_none_or(|by| *by == actor) {
                        mind.open.push((call, at_ns));
                    }
                }
                Act::Reply(call) => mind.read(found.get(&call).map(|c| c.parents.clone()), at_ns),
                Act::Answers(call) => {
                    mind.open.retain(|(open, _)| *open != call);
                    mind.wrote = true;
                }
                Act::Asks(_) => {}
            }
        }
        if let Act::Asks(call) = act {
            let timer = sockets.wait_before(host, tid, at_ns).is_some_and(|wait| {
                let by_timer = wait.n_ready == 0 && wait.exit_ns - wait.entry_ns > TIMER_NS;
                let read_ns = minds.of_actor(host, entry.actor()).map_or(0, |mind| mind.read_ns);
                by_timer && wait.exit_ns > read_ns
            });
            found.extend(minds.cause(&entry, timer).map(|cause| (call, cause)));
            for actor in minds.of(&entry) {
                minds.by_actor.entry((host, actor)).or_default().wrote = true;
            }
        }
    }
    found
}

/// What all threads and tasks have on their minds.
struct Minds {
    by_actor: BTreeMap<(u32, Actor), Mind>,
    makers: BTreeMap<(u32, Task), Task>,
    /// Tasks that write calls for others.
    pumps: BTreeSet<(u32, Task)>,
}

impl Minds {
    /// A thread, and the task that it runs.
    fn of(&self, entry: &Entry) -> impl Iterator<Item = Actor> + use<> {
        [Some(Actor::Thread(entry.tid)), entry.task.map(Actor::Task)].into_iter().flatten()
    }

    fn of_actor(&self, host: u32, actor: Actor) -> Option<&Mind> {
        self.by_actor.get(&(host, actor))
    }

    /// Why a call is asked now.
    fn cause(&self, entry: &Entry, timer: bool) -> Option<Cause> {
        let Entry { host, at_ns, tid, task, .. } = *entry;
        let own = self.of_actor(host, entry.actor());
        let Some(task) = task else { return own?.cause(entry.actor(), at_ns, timer) };
        if let Some(own) = own.filter(|own| !own.open.is_empty() || !own.reads.is_empty()) {
            return own.cause(entry.actor(), at_ns, timer);
        }
        if !self.pumps.contains(&(host, task)) {
            return self.made(host, task, at_ns);
        }
        // It asks for somebody else, who ran on this thread just before, unless that one waited for a connection.
        let thread = self.of_actor(host, Actor::Thread(tid))?;
        let (parents, ago) = thread.adjacent(at_ns)?;
        let reason = format!(
            "goroutine {} ran on thread {tid}, which read nothing else in the {ago} before",
            task.id
        );
        Some(Cause { parents, certainty: None, reason })
    }

    /// The only request that the task's maker has open, or that one's.
    fn made(&self, host: u32, task: Task, at_ns: i64) -> Option<Cause> {
        let mut maker = task;
        for _ in 0..MAX_MAKERS {
            maker = *self.makers.get(&(host, maker))?;
            let open = self.of_actor(host, Actor::Task(maker)).map_or(&[][..], |mind| &mind.open);
            match open {
                [] => {}
                [(call, read_ns)] => {
                    let ago = micro(at_ns - read_ns);
                    let reason = format!(
                        "goroutine {} was made by goroutine {}, which read it {ago} before, and had no other",
                        task.id, maker.id
                    );
                    return Some(Cause { parents: vec![*call], certainty: Some(MADE), reason });
                }
                _ => return None,
            }
        }
        None
    }
}

/// What a thread or task has on its mind.
#[derive(Default)]
struct Mind {
    /// Requests that it read, when, and has not answered.
    open: Vec<(CallIndex, i64)>,
    /// What it read since it wrote last; `None`: something nobody knows.
    reads: Vec<Option<Vec<CallIndex>>>,
    read_ns: i64,
    wrote: bool,
}

impl Mind {
    fn read(&mut self, causes: Option<Vec<CallIndex>>, at_ns: i64) {
        if std::mem::take(&mut self.wrote) {
            self.reads.clear();
        }
        self.reads.push(causes);
        self.read_ns = at_ns;
    }

    /// Why it writes a request now.
    fn cause(&self, actor: Actor, at_ns: i64, timer: bool) -> Option<Cause> {
        if let [(call, read_ns)] = self.open[..] {
            let ago = micro(at_ns - read_ns);
            let reason = format!("{actor} read it {ago} before, and had no other");
            return Some(Cause { parents: vec![call], certainty: Some(ALONE), reason });
        }
        if timer {
            return None;
        }
        let (parents, ago) = self.adjacent(at_ns)?;
        let reason = format!("{actor} read nothing else in the {ago} before");
        Some(Cause { parents, certainty: Some(ADJACENT), reason })
    }

    /// What everything that it read since it wrote last was caused by, and how long ago it read.
    fn adjacent(&self, at_ns: i64) -> Option<(Vec<CallIndex>, String)> {
        let mut parents: Vec<CallIndex> = Vec::new();
        for causes in &self.reads {
            parents.extend(causes.as_ref()?);
        }
        parents.sort_unstable();
        parents.dedup();
        (!parents.is_empty()).then(|| (parents, micro(at_ns - self.read_ns)))
    }
}

fn micro(ns: i64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
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

    /// What one that did this says of the call it writes at the end, at 9 µs.
    fn check(done: &[(i64, Option<u32>)], open: &[u32], expected: Option<(&[u32], f64)>) {
        let mut mind = Mind::default();
        mind.open.extend(open.iter().map(|call| (*call, 0)));
        for (at_ns, read) in done {
            mind.read(read.map(|call| vec![call]), *at_ns);
        }
        let cause = mind.cause(Actor::Thread(7), 9_000, false);
        let found =
            cause.as_ref().map(|cause| (&cause.parents[..], cause.certainty.unwrap_or(0.0)));
        assert_eq!(found, expected);
    }

    #[test]
    fn one_open_request_or_nothing_else_read() {
        check(&[(1, Some(3))], &[3], Some((&[3], ALONE)));
        check(&[(1, Some(3)), (2, Some(4))], &[3, 4], Some((&[3, 4], ADJACENT)));
        check(&[(2, Some(4))], &[3, 4], Some((&[4], ADJACENT)));
        check(&[(2, Some(4)), (3, None)], &[3, 4], None);
        check(&[], &[], None);
    }

    /// What goroutine 2 of a program asks for; goroutine 1, which made it, and thread 7 read something before.
    fn check_goroutine(
        pumps: bool,
        made_by: &[u32],
        thread: &[u32],
        expected: Option<(&[u32], Option<f64>)>,
    ) {
        let task = |id: i64| Task { pid: 5, id };
        let mut maker = Mind::default();
        maker.open.extend(made_by.iter().map(|call| (*call, 0)));
        let mut ran = Mind::default();
        thread.iter().for_each(|call| ran.read(Some(vec![*call]), 1));
        let minds = Minds {
            by_actor: [((0, Actor::Task(task(1))), maker), ((0, Actor::Thread(7)), ran)].into(),
            makers: [((0, task(2)), task(1))].into(),
            pumps: pumps.then_some((0, task(2))).into_iter().collect(),
        };
        let entry = Entry { host: 0, at_ns: 9_000, tid: 7, task: Some(task(2)), act: Act::Asks(9) };
        let cause = minds.cause(&entry, false);
        let found = cause.as_ref().map(|cause| (&cause.parents[..], cause.certainty));
        assert_eq!(found, expected);
    }

    #[test]
    fn one_that_was_made_for_a_request_and_one_that_writes_for_others() {
        check_goroutine(false, &[3], &[4], Some((&[3], Some(MADE))));
        check_goroutine(false, &[3, 4], &[4], None);
        check_goroutine(false, &[], &[4], None);
        check_goroutine(true, &[3], &[4], Some((&[4], None)));
        check_goroutine(true, &[3], &[], None);
    }
}
