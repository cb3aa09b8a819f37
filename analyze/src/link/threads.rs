//! What threads and tasks tell of causes. A thread that waits for each of its calls works on one request at a time: on the one that it
//! read, or, where requests are handed over, on the one that it answers next. Any other is told by what it read last, if that was
//! lately. Where a runtime shows its tasks (goroutines), they stand for threads; one that only writes for others is linked by its
//! maker, or by the thread that it was handed over on. Never says how far a rule holds: that is learnt (`reliability.rs`). Never looks at
//! content, never at two hosts together. Long: one pass over what threads did, and the rules that read it.

use super::patience::patient;
use super::timeline::{Act, Actor, Entry};
use crate::call::{Call, CallIndex};
use crate::dissect::sockets::log::{Sockets, Task};
use std::collections::{BTreeMap, BTreeSet};

/// So many makers up the request is looked for: Go's HTTP client dials in one task, which makes another that writes.
const MAX_MAKERS: usize = 3;
/// A wait that ends with nothing ready after this long was ended by a timer, which is a cause of its own.
const TIMER_NS: i64 = 500_000;
/// How long ago something was read, in classes: up to so many nanoseconds, and longer.
const AGES_NS: [i64; 4] = [100_000, 400_000, 1_600_000, 6_400_000];

/// The rule by which a cause was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// Who waits for its calls has one request open.
    Waits,
    /// Who waits for its calls answers this one next.
    AnswersNext,
    /// A task has one request open.
    Alone,
    /// A task was made by one that has one request open.
    Made,
    /// Nothing else was read since; how long ago, and whether there was a wait for events in between.
    Adjacent(u8, bool),
    /// A task writes for others: the same of the thread that it runs on.
    HandedOver(u8, bool),
}

impl Way {
    /// How sure it is before anything was learnt, in thousandths.
    pub(super) fn prior(self) -> u64 {
        let by_age = |age: u8, crossed: bool| {
            [950, 930, 850, 700, 500][usize::from(age.min(4))] - if crossed { 150 } else { 0 }
        };
        match self {
            Way::Waits | Way::Alone => 990,
            Way::AnswersNext => 970,
            Way::Made => 900,
            Way::Adjacent(age, crossed) => by_age(age, crossed),
            Way::HandedOver(age, crossed) => by_age(age, crossed) - 150,
        }
    }
}

/// The possible causes of a call, as a thread tells them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    /// Which calls; mostly one.
    pub(super) parents: Vec<CallIndex>,
    /// How that was found.
    pub(super) way: Way,
    /// Host and process of whoever asks.
    pub(super) process: (u32, u32),
    /// Printable.
    pub(super) reason: String,
}

/// The causes of all calls whose client is a process whose threads or tasks tell them. A reply is read for whoever its call was `given` to
/// before; at first, for whoever the threads themselves name.
pub(super) fn causes(
    calls: &[Call],
    entries: &[Entry],
    sockets: &Sockets,
    given: Option<&[Option<CallIndex>]>,
) -> BTreeMap<CallIndex, Cause> {
    let answered_by = answering(entries);
    let mut minds = Minds {
        by_actor: BTreeMap::new(),
        makers: makers(sockets),
        pumps: pumps(entries),
        patient: patient(calls, entries, &answered_by),
    };
    let next_answers = next_answers(entries);
    let mut found: BTreeMap<CallIndex, Cause> = BTreeMap::new();
    let flow_of = |call: CallIndex| calls[call as usize].spans.last().map(|span| span.flow);
    for (entry, next) in entries.iter().zip(next_answers) {
        let Entry { host, at_ns, tid, act, .. } = *entry;
        // A task's reads are its thread's too: what the thread runs next may come of them.
        for actor in minds.of(entry) {
            let mind = minds.by_actor.entry((host, actor)).or_default();
            match act {
                Act::Other => mind.read(None, at_ns),
                Act::Request(call) => {
                    mind.read(Some(vec![call]), at_ns);
                    // One connection, one request at a time: the one before it is over, even if its answer was lost.
                    if !is_multiplexed(&calls[call as usize]) {
                        let connection = flow_of(call);
                        mind.open.retain(|(open, _)| flow_of(*open) != connection);
                    }
                    let answering = answered_by.get(&(host, call));
                    if actor == entry.actor() && answering.is_none_or(|by| *by == actor) {
                        mind.open.push((call, at_ns));
                    }
                }
                Act::Reply(call) => {
                    let named = || found.get(&call).map(|cause| cause.parents.clone());
                    let known = |given: &[Option<CallIndex>]| {
                        given[call as usize].map(|parent| vec![parent])
                    };
                    mind.read(given.map_or_else(named, known), at_ns);
                }
                Act::Answers(call) => {
                    mind.open.retain(|(open, _)| *open != call);
                    mind.wrote = true;
                }
                Act::Asks(_) | Act::Connects(_) => {}
            }
        }
        if let Act::Asks(call) | Act::Connects(call) = act {
            let wait = sockets.wait_before(host, tid, at_ns);
            let asking = Asking {
                entry,
                next,
                waited_ns: wait.map_or(i64::MIN, |wait| wait.exit_ns),
                by_timer: wait.is_some_and(|wait| {
                    wait.n_ready == 0 && wait.exit_ns - wait.entry_ns > TIMER_NS
                }),
            };
            // Whoever connected for somebody has asked for them.
            let cause = (!found.contains_key(&call)).then(|| minds.cause(&asking)).flatten();
            if cause.is_some() || matches!(act, Act::Asks(_)) {
                for actor in minds.of(entry) {
                    minds.by_actor.entry((host, actor)).or_default().wrote = true;
                }
            }
            found.extend(cause.map(|cause| (call, cause)));
        }
    }
    found
}

/// Whether several requests are open on one connection by design.
fn is_multiplexed(call: &Call) -> bool {
    matches!(call.protocol.as_str(), "http2" | "grpc")
}

/// A call that is being written.
struct Asking<'a> {
    entry: &'a Entry,
    /// The request that its thread answers next.
    next: Option<CallIndex>,
    /// When its thread last returned from a wait for events.
    waited_ns: i64,
    /// Whether a timer ended that wait.
    by_timer: bool,
}

impl Asking<'_> {
    fn process(&self) -> (u32, u32) {
        (self.entry.host, self.entry.pid)
    }
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

/// What all threads and tasks have on their minds.
struct Minds {
    by_actor: BTreeMap<(u32, Actor), Mind>,
    makers: BTreeMap<(u32, Task), Task>,
    /// Tasks that write calls for others.
    pumps: BTreeSet<(u32, Task)>,
    /// Processes whose threads wait for their calls.
    patient: BTreeSet<(u32, u32)>,
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
    fn cause(&self, asking: &Asking<'_>) -> Option<Cause> {
        let Entry { host, at_ns, tid, task, .. } = *asking.entry;
        let Some(task) = task else { return self.by_thread(asking) };
        let actor = Actor::Task(task);
        if let Some(own) = self.of_actor(host, actor).filter(|own| own.knows()) {
            return own.alone(actor, Way::Alone, asking).or_else(|| own.cause(actor, asking));
        }
        if !self.pumps.contains(&(host, task)) {
            return self.made(host, task, asking);
        }
        // It asks for somebody else, who ran on this thread just before, unless that one waited for a connection.
        let (parents, read_ns) = self.of_actor(host, Actor::Thread(tid))?.adjacent()?;
        let (age, crossed) = (age(at_ns - read_ns), read_ns < asking.waited_ns);
        let reason = format!(
            "goroutine {} ran on thread {tid}, which read nothing else in the {} before",
            task.id,
            micro(at_ns - read_ns)
        );
        let way = Way::HandedOver(age, crossed);
        Some(Cause { parents, way, process: asking.process(), reason })
    }

    fn by_thread(&self, asking: &Asking<'_>) -> Option<Cause> {
        let actor = asking.entry.actor();
        let own = self.of_actor(asking.entry.host, actor);
        if self.patient.contains(&asking.process()) {
            let told = own.and_then(|own| own.alone(actor, Way::Waits, asking));
            let next = || {
                let call = asking.next?;
                let reason =
                    format!("{actor} waits for each of its calls, and answered this request next");
                let way = Way::AnswersNext;
                Some(Cause { parents: vec![call], way, process: asking.process(), reason })
            };
            if let Some(cause) = told.or_else(next) {
                return Some(cause);
            }
        }
        own?.cause(actor, asking)
    }

    /// The only request that the task's maker has open, or that one's.
    fn made(&self, host: u32, task: Task, asking: &Asking<'_>) -> Option<Cause> {
        let mut maker = task;
        for _ in 0..MAX_MAKERS {
            maker = *self.makers.get(&(host, maker))?;
            let open = self.of_actor(host, Actor::Task(maker)).map_or(&[][..], |mind| &mind.open);
            match open {
                [] => {}
                [(call, read_ns)] => {
                    let ago = micro(asking.entry.at_ns - read_ns);
                    let reason = format!(
                        "goroutine {} was made by goroutine {}, which read it {ago} before, and had no other",
                        task.id, maker.id
                    );
                    let way = Way::Made;
                    return Some(Cause {
                        parents: vec![*call],
                        way,
                        process: asking.process(),
                        reason,
                    });
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

    fn knows(&self) -> bool {
        !self.open.is_empty() || !self.reads.is_empty()
    }

    /// The only request that it has open.
    fn alone(&self, actor: Actor, way: Way, asking: &Asking<'_>) -> Option<Cause> {
        let [(call, read_ns)] = self.open[..] else { return None };
        let ago = micro(asking.entry.at_ns - read_ns);
        let reason = format!("{actor} read it {ago} before, and had no other");
        Some(Cause { parents: vec![call], way, process: asking.process(), reason })
    }

    /// What it read last, unless a timer ended its wait since.
    fn cause(&self, actor: Actor, asking: &Asking<'_>) -> Option<Cause> {
        let (parents, read_ns) = self.adjacent()?;
        let crossed = read_ns < asking.waited_ns;
        if crossed && asking.by_timer {
            return None;
        }
        let ago_ns = asking.entry.at_ns - read_ns;
        let reason = format!("{actor} read nothing else in the {} before", micro(ago_ns));
        let way = Way::Adjacent(age(ago_ns), crossed);
        Some(Cause { parents, way, process: asking.process(), reason })
    }

    /// What everything that it read since it wrote last was caused by, and when it read.
    fn adjacent(&self) -> Option<(Vec<CallIndex>, i64)> {
        let mut parents: Vec<CallIndex> = Vec::new();
        for causes in &self.reads {
            parents.extend(causes.as_ref()?);
        }
        parents.sort_unstable();
        parents.dedup();
        (!parents.is_empty()).then_some((parents, self.read_ns))
    }
}

fn age(ns: i64) -> u8 {
    AGES_NS.iter().position(|&most| ns <= most).unwrap_or(AGES_NS.len()) as u8
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

    fn asking(entry: &Entry) -> Asking<'_> {
        Asking { entry, next: None, waited_ns: i64::MIN, by_timer: false }
    }

    fn entry(task: Option<Task>) -> Entry {
        Entry { host: 0, at_ns: 9_000, tid: 7, task, act: Act::Asks(9), pid: 5 }
    }

    /// What a thread that did this says of the call it writes at the end, at 9 µs.
    fn check(
        done: &[(i64, Option<u32>)],
        open: &[u32],
        patient: bool,
        expected: Option<(&[u32], Way)>,
    ) {
        let mut mind = Mind::default();
        mind.open.extend(open.iter().map(|call| (*call, 0)));
        for (at_ns, read) in done {
            mind.read(read.map(|call| vec![call]), *at_ns);
        }
        let minds = Minds {
            by_actor: [((0, Actor::Thread(7)), mind)].into(),
            makers: BTreeMap::new(),
            pumps: BTreeSet::new(),
            patient: patient.then_some((0, 5)).into_iter().collect(),
        };
        let cause = minds.cause(&asking(&entry(None)));
        let found = cause.as_ref().map(|cause| (&cause.parents[..], cause.way));
        assert_eq!(found, expected);
    }

    const LATELY: Way = Way::Adjacent(0, false);

    #[test]
    fn one_open_request_or_nothing_else_read() {
        check(&[(1, Some(3))], &[3], true, Some((&[3], Way::Waits)));
        check(&[(1, Some(3))], &[3], false, Some((&[3], LATELY)));
        check(&[(1, Some(3)), (2, Some(4))], &[3, 4], true, Some((&[3, 4], LATELY)));
        check(&[(2, Some(4))], &[3, 4], false, Some((&[4], LATELY)));
        check(&[(2, Some(4)), (3, None)], &[3, 4], false, None);
        check(&[], &[], true, None);
    }

    #[test]
    fn a_wait_in_between_is_told_and_a_timer_tells_nothing() {
        let mut mind = Mind::default();
        mind.read(Some(vec![3]), 1_000);
        let entry = entry(None);
        let told = |waited_ns, by_timer| {
            let asking = Asking { waited_ns, by_timer, ..asking(&entry) };
            mind.cause(Actor::Thread(7), &asking).map(|cause| cause.way)
        };
        assert_eq!(told(500, false), Some(LATELY));
        assert_eq!(told(500, true), Some(LATELY), "it ended before");
        assert_eq!(told(5_000, false), Some(Way::Adjacent(0, true)));
        assert_eq!(told(5_000, true), None);
    }

    /// What goroutine 2 of a program asks for; goroutine 1, which made it, and thread 7 read something before.
    fn check_goroutine(
        pumps: bool,
        made_by: &[u32],
        thread: &[u32],
        expected: Option<(&[u32], Way)>,
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
            patient: BTreeSet::new(),
        };
        let cause = minds.cause(&asking(&entry(Some(task(2)))));
        let found = cause.as_ref().map(|cause| (&cause.parents[..], cause.way));
        assert_eq!(found, expected);
    }

    #[test]
    fn one_that_was_made_for_a_request_and_one_that_writes_for_others() {
        check_goroutine(false, &[3], &[4], Some((&[3], Way::Made)));
        check_goroutine(false, &[3, 4], &[4], None);
        check_goroutine(false, &[], &[4], None);
        check_goroutine(true, &[3], &[4], Some((&[4], Way::HandedOver(0, false))));
        check_goroutine(true, &[3], &[], None);
    }

    #[test]
    fn who_waits_for_each_call_answers_the_one_it_works_on() {
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
