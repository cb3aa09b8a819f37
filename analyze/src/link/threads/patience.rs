//! Which processes' threads work on one request at a time: that can be seen, and is what their answers can be read backwards by. Never
//! says whose a call is.

use super::hand_backs::Thread;
use super::minds::Process;
use super::timeline::{Act, Actor, Entry};
use crate::call::{Call, CallIndex, CallState};
use std::collections::{BTreeMap, BTreeSet};

/// A process's threads wait for their calls where no more than this share of them does not, in percent.
const IMPATIENT: u64 = 1;

/// Processes whose threads wait for each of their calls, and do nothing else until it is answered, nor read another request before
/// they answered one. Those that serve are looked at apart from their workers (`true`), who do nothing but ask.
pub(super) fn patient(
    calls: &[Call],
    entries: &[Entry],
    answered_by: &BTreeMap<(u32, CallIndex), Actor>,
    workers: &BTreeSet<Thread>,
) -> BTreeSet<(Process, bool)> {
    // Per thread: when it asked, and when that was answered; what it has to answer.
    let mut awaited: BTreeMap<(u32, u32), Vec<(i64, i64)>> = BTreeMap::new();
    let mut open: BTreeMap<(u32, u32), BTreeSet<CallIndex>> = BTreeMap::new();
    let mut counts: BTreeMap<(Process, bool), [u64; 2]> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.task.is_none()) {
        let awaited = awaited.entry((entry.host, entry.tid)).or_default();
        // Commands of one write are one step.
        awaited.retain(|(asked_ns, answered_ns)| {
            *answered_ns > entry.at_ns || *asked_ns == entry.at_ns
        });
        let waits = awaited.iter().any(|(asked_ns, _)| *asked_ns != entry.at_ns);
        let is_worker = workers.contains(&(entry.host, entry.tid));
        let [asked, broken] = counts.entry((entry.process(), is_worker)).or_default();
        match entry.act {
            Act::Other | Act::Signals(_) | Act::Reply(_) | Act::Connects(_) => continue,
            Act::Request(call) => {
                let open = open.entry((entry.host, entry.tid)).or_default();
                *broken += u64::from(waits || !open.is_empty());
                let is_answered_later = calls[call as usize]
                    .spans
                    .last()
                    .and_then(|span| span.times.latency_ns())
                    .is_some_and(|latency_ns| latency_ns > 0);
                let by = answered_by.get(&(entry.host, call));
                if is_answered_later && by == Some(&entry.actor()) {
                    open.insert(call);
                }
            }
            Act::Answers(call) => {
                open.entry((entry.host, entry.tid)).or_default().remove(&call);
                *broken += u64::from(waits);
            }
            Act::Asks(call) => {
                *asked += 1;
                *broken += u64::from(waits);
                let call = &calls[call as usize];
                let answered_ns = call.times().last().filter(|_| call.state == CallState::Complete);
                awaited.extend(answered_ns.map(|answered_ns| (entry.at_ns, answered_ns)));
            }
        }
    }
    let is_patient = |[asked, broken]: [u64; 2]| asked > 0 && broken * 100 <= asked * IMPATIENT;
    counts.into_iter().filter(|(_, count)| is_patient(*count)).map(|(process, _)| process).collect()
}
