//! What threads tell of causes: a request that a thread read, and the calls it wrote before it answered. Two rules, both about one
//! thread: it has one request open at a time, or it read nothing else between the cause and the call. Never looks at content,
//! never at two hosts together.

use crate::call::{Call, CallIndex, Point, SpanAt};
use crate::dissect::sockets::log::{Moved, SocketLog, Sockets};
use std::collections::BTreeMap;

/// One request open at a time.
const ALONE: f64 = 0.99;
/// Nothing else read in between.
const ADJACENT: f64 = 0.95;
/// A wait that ends with nothing ready after this long was ended by a timer, which is a cause of its own.
const TIMER_NS: i64 = 500_000;

/// The possible causes of a call, as a thread tells them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cause {
    /// Which calls; mostly one.
    pub(super) parents: Vec<CallIndex>,
    /// How sure that it is one of them.
    pub(super) certainty: f64,
    /// Printable.
    pub(super) reason: String,
}

/// What a thread did at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    /// Read something that is no message: whatever it does next may come of that.
    Other,
    /// Read the last of a call's request, as its server.
    Request(CallIndex),
    /// Read of a call's response, as its client.
    Reply(CallIndex),
    /// Wrote the first of a call's request, as its client.
    Asks(CallIndex),
    /// Wrote the first of a call's response, as its server.
    Answers(CallIndex),
}

/// Host, instant, thread, act.
type Entry = (u32, i64, u32, Act);

/// The causes of all calls whose client is a process whose threads tell them.
pub(super) fn causes(
    calls: &[Call],
    points: &[Point],
    sockets: &Sockets,
) -> BTreeMap<CallIndex, Cause> {
    if sockets.logs.is_empty() {
        return BTreeMap::new();
    }
    let mut entries = messages(calls, points, sockets);
    entries.extend(other_reads(calls, sockets));
    entries.sort_unstable();
    let mut threads: BTreeMap<(u32, u32), Thread> = BTreeMap::new();
    let mut found: BTreeMap<CallIndex, Cause> = BTreeMap::new();
    let answered_by = answering_threads(&entries);
    let flow_of = |call: CallIndex| calls[call as usize].spans.last().map(|span| span.flow);
    for (host, at_ns, tid, act) in entries {
        let thread = threads.entry((host, tid)).or_default();
        match act {
            Act::Other => thread.read(None, at_ns),
            Act::Request(call) => {
                thread.read(Some(vec![call]), at_ns);
                // One connection, one request at a time: the one before it is over, even if its answer was lost.
                let connection = flow_of(call);
                thread.open.retain(|(open, _)| flow_of(*open) != connection);
                if answered_by.get(&call).is_none_or(|answering| *answering == tid) {
                    thread.open.push((call, at_ns));
                }
            }
            Act::Reply(call) => thread.read(found.get(&call).map(|c| c.parents.clone()), at_ns),
            Act::Answers(call) => {
                thread.open.retain(|(open, _)| *open != call);
                thread.wrote = true;
            }
            Act::Asks(call) => {
                let timer = sockets.wait_before(host, tid, at_ns).is_some_and(|wait| {
                    let by_timer = wait.n_ready == 0 && wait.exit_ns - wait.entry_ns > TIMER_NS;
                    by_timer && wait.exit_ns > thread.read_ns
                });
                found.extend(thread.cause(tid, at_ns, timer).map(|cause| (call, cause)));
                thread.wrote = true;
            }
        }
    }
    found
}

/// What a thread has on its mind.
#[derive(Default)]
struct Thread {
    /// Requests that it read, when, and has not answered.
    open: Vec<(CallIndex, i64)>,
    /// What it read since it wrote last; `None`: something nobody knows.
    reads: Vec<Option<Vec<CallIndex>>>,
    read_ns: i64,
    wrote: bool,
}

impl Thread {
    fn read(&mut self, causes: Option<Vec<CallIndex>>, at_ns: i64) {
        if std::mem::take(&mut self.wrote) {
            self.reads.clear();
        }
        self.reads.push(causes);
        self.read_ns = at_ns;
    }

    /// Why it writes a request now.
    fn cause(&self, tid: u32, at_ns: i64, timer: bool) -> Option<Cause> {
        let ago = |from: i64| micro(at_ns - from);
        if let [(call, read_ns)] = self.open[..] {
            let reason = format!("thread {tid} read it {} before, and had no other", ago(read_ns));
            return Some(Cause { parents: vec![call], certainty: ALONE, reason });
        }
        if timer || self.reads.is_empty() {
            return None;
        }
        let mut parents: Vec<CallIndex> = Vec::new();
        for causes in &self.reads {
            parents.extend(causes.as_ref()?);
        }
        parents.sort_unstable();
        parents.dedup();
        let reason = format!("thread {tid} read nothing else in the {} before", ago(self.read_ns));
        (!parents.is_empty()).then_some(Cause { parents, certainty: ADJACENT, reason })
    }
}

fn micro(ns: i64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}

/// The thread that answered each call, where known.
fn answering_threads(entries: &[Entry]) -> BTreeMap<CallIndex, u32> {
    let answers = entries.iter().filter_map(|(_, _, tid, act)| match act {
        Act::Answers(call) => Some((*call, *tid)),
        _ => None,
    });
    answers.collect()
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

fn messages(calls: &[Call], points: &[Point], sockets: &Sockets) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (i, call) in (0..).zip(calls) {
        let [client, server] = ends(call, points, sockets);
        let mut add = |log: &SocketLog, moved: Option<&Moved>, act: Act| {
            entries.extend(moved.map(|moved| (log.host, moved.at_ns, moved.tid, act)));
        };
        if let Some((log, span)) = client {
            let read = |at: Option<i64>| at.and_then(|at| log.read_at(at));
            let written = span.times.request_first.and_then(|at| log.written_at(at));
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

/// Reads that are part of no message of a call, and wake-ups.
fn other_reads(calls: &[Call], sockets: &Sockets) -> Vec<Entry> {
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
            if at.checked_sub(1).is_none_or(|at| ranges[at].1 < read.at_ns) {
                entries.push((log.host, read.at_ns, read.tid, Act::Other));
            }
        }
    }
    for ((host, tid), woken) in &sockets.wakeups {
        entries.extend(woken.iter().map(|at_ns| (*host, *at_ns, *tid, Act::Other)));
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a thread that did this says of the call it writes at the end, at 9 µs.
    fn check(done: &[(i64, Option<u32>)], open: &[u32], expected: Option<(&[u32], f64)>) {
        let mut thread = Thread::default();
        thread.open.extend(open.iter().map(|call| (*call, 0)));
        for (at_ns, read) in done {
            thread.read(read.map(|call| vec![call]), *at_ns);
        }
        let cause = thread.cause(7, 9_000, false);
        let found = cause.as_ref().map(|cause| (&cause.parents[..], cause.certainty));
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
}
