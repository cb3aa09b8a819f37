//! What processes' threads did, in order: which messages they read and wrote, and what else they read. Never says what follows
//! from it.

use crate::call::{Call, CallIndex, SpanAt};
use crate::dissect::sockets::log::{Moved, Signal, Signalled, SocketLog, Sockets, Task};
use crate::point::Point;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A connection that takes longer was not asked for because of its first request.
const CONNECTS_NS: i64 = 250_000_000;

/// What a thread did at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) enum Act {
    /// Read something that is no message: whatever it does next may come of that.
    Other,
    /// Took, gave or woke: the other threads of its process are told something.
    Signals(Signal),
    /// Read the last of a call's request, as its server.
    Request(CallIndex),
    /// Read of a call's response, as its client.
    Reply(CallIndex),
    /// Asked for the connection that a call is the first on, just before it was written.
    Connects(CallIndex),
    /// Wrote the first of a call's request, as its client.
    Asks(CallIndex),
    /// Wrote the first of a call's response, as its server.
    Answers(CallIndex),
}

/// Who acts: a thread, or the task that it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) enum Actor {
    Thread(u32),
    Task(Task),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Thread(tid) => write!(f, "thread {tid}"),
            Actor::Task(task) => write!(f, "goroutine {}", task.id),
        }
    }
}

/// Something that a thread did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) struct Entry {
    pub(in crate::link) host: u32,
    pub(in crate::link) at_ns: i64,
    pub(in crate::link) tid: u32,
    /// The task that the thread ran, where its runtime shows them.
    pub(in crate::link) task: Option<Task>,
    pub(in crate::link) act: Act,
    /// The thread's process; 0: not told.
    pub(in crate::link) pid: u32,
}

impl Entry {
    /// Host and process.
    pub(in crate::link) fn process(&self) -> (u32, u32) {
        (self.host, self.pid)
    }

    pub(in crate::link) fn actor(&self) -> Actor {
        self.task.map_or(Actor::Thread(self.tid), Actor::Task)
    }
}

/// All that is known of all threads, host by host, in order of time.
pub(in crate::link) fn timeline(calls: &[Call], points: &[Point], sockets: &Sockets) -> Vec<Entry> {
    let mut entries = messages(calls, points, sockets);
    let signals = signals(&entries, sockets);
    entries.extend(other_reads(calls, sockets, &signals));
    entries.extend(signals);
    entries.sort_unstable();
    entries
}

/// The ends of calls at processes: the log of the client's socket with its span, and of the server's.
fn ends<'a>(
    call: &'a Call,
    points: &[Point],
    sockets: &'a Sockets,
) -> [Option<(&'a SocketLog, &'a SpanAt)>; 2] {
    let at = |span: Option<&'a SpanAt>| {
        let span = span.filter(|span| points[span.point as usize].process.is_some())?;
        Some((sockets.logs.get(&span.flow)?, span))
    };
    let client = call.client.process.as_ref().and(at(call.spans.first()));
    let server = call.server.process.as_ref().and(at(call.spans.last()));
    [client, server]
}

fn entry(log: &SocketLog, moved: &Moved, act: Act, sockets: &Sockets) -> Entry {
    let task = sockets.task_of(log.host, moved);
    Entry { host: log.host, at_ns: moved.at_ns, tid: moved.tid, task, act, pid: moved.pid }
}

fn messages(calls: &[Call], points: &[Point], sockets: &Sockets) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (i, call) in (0..).zip(calls) {
        let [client, server] = ends(call, points, sockets);
        let mut add = |log: &SocketLog, moved: Option<&Moved>, act: Act| {
            entries.extend(moved.map(|moved| entry(log, moved, act, sockets)));
        };
        if let Some((log, span)) = client {
            let read = |at: Option<i64>| at.and_then(|at| log.read_at(at));
            let written = span.times.request_first.and_then(|at| log.written_at(at));
            let connected = written.and_then(|written| connected_for(log, written, sockets));
            add(log, connected, Act::Connects(i));
            add(log, written, Act::Asks(i));
            add(log, read(span.times.response_first), Act::Reply(i));
            if span.times.response_last != span.times.response_first {
                add(log, read(span.times.response_last), Act::Reply(i));
            }
        }
        if let Some((log, span)) = server {
            add(log, span.times.request_last.and_then(|at| log.read_at(at)), Act::Request(i));
            let written = span.times.response_first.and_then(|at| log.written_at(at));
            add(log, written, Act::Answers(i));
        }
    }
    entries
}

/// The connect of a connection that this is the first write on, if it was just before: the request may have been decided on then, and the
/// write come of the connection being there. Tasks connect for whoever comes first.
fn connected_for<'a>(log: &'a SocketLog, written: &Moved, sockets: &Sockets) -> Option<&'a Moved> {
    let is_first = log.moved[1].first().is_some_and(|first| first.at_ns == written.at_ns);
    let connected = log.connected.as_ref().filter(|_| is_first)?;
    let is_lately = written.at_ns.saturating_sub(connected.at_ns) <= CONNECTS_NS;
    let has_task = sockets.task_of(log.host, connected).is_some();
    (is_lately && !has_task && connected.pid == written.pid).then_some(connected)
}

/// Reads that are part of no message of a call, nor a signal.
fn other_reads(calls: &[Call], sockets: &Sockets, signals: &[Entry]) -> Vec<Entry> {
    let signals: BTreeSet<_> = signals.iter().map(|e| (e.host, e.tid, e.at_ns)).collect();
    let mut inside: BTreeMap<u32, Vec<(i64, i64)>> = BTreeMap::new();
    for span in calls.iter().flat_map(|call| &call.spans) {
        if sockets.logs.contains_key(&span.flow) {
            let t = &span.times;
            let asked = t.request_first.zip(t.request_last);
            let answered = t.response_first.zip(t.response_last);
            inside.entry(span.flow).or_default().extend(asked.into_iter().chain(answered));
        }
    }
    inside.values_mut().for_each(|ranges| ranges.sort_unstable());
    let mut entries = Vec::new();
    for (flow, log) in &sockets.logs {
        let ranges = inside.get(flow).map_or(&[][..], Vec::as_slice);
        for read in &log.moved[0] {
            let at = ranges.partition_point(|range| range.0 <= read.at_ns);
            let is_inside = at.checked_sub(1).is_some_and(|at| ranges[at].1 >= read.at_ns);
            if !is_inside && !signals.contains(&(log.host, read.tid, read.at_ns)) {
                entries.push(entry(log, read, Act::Other, sockets));
            }
        }
    }
    entries
}

/// What threads told one another, but where it is a message of a call.
fn signals(messages: &[Entry], sockets: &Sockets) -> Vec<Entry> {
    let at = |host: u32, tid: u32, at_ns: i64| (host, tid, at_ns);
    let known: BTreeSet<_> = messages.iter().map(|e| at(e.host, e.tid, e.at_ns)).collect();
    let entry = |s: &Signalled| Entry {
        host: s.host,
        at_ns: s.at_ns,
        tid: s.tid,
        task: None,
        act: Act::Signals(s.signal),
        pid: s.pid,
    };
    let told = sockets.signals.iter().filter(|s| !known.contains(&at(s.host, s.tid, s.at_ns)));
    told.map(entry).collect()
}
