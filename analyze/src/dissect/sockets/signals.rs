//! By what threads of a process tell one another that there is work: eventfds, pipes, a pair of unix sockets that the process has with
//! itself, wake-ups by the scheduler. Never says what was handed over.

use super::log::{Channel, Signal, Signalled};
use super::recorded::Recorded;
use afterpath_formats::table::{socket_events, wakeups};
use std::collections::{BTreeMap, BTreeSet};

impl Recorded {
    /// All signals of this host, in order. Of a channel whose two ends are not one process's only the reads are left, as something
    /// that nobody knows the cause of.
    pub fn signals(&self) -> Vec<Signalled> {
        let mut signals = self.channel_signals();
        keep_those_within_a_process(&mut signals);
        signals.extend(self.wakeup_signals());
        signals.sort_unstable();
        signals
    }

    fn channel_signals(&self) -> Vec<Signalled> {
        let mut signals = Vec::new();
        for row in self.batches().iter().flat_map(socket_events::rows) {
            let channel = match row.kind {
                "eventfd" => row.socket_id.map(Channel::Eventfd),
                "pipe" => row.socket_id.map(Channel::Pipe),
                "timerfd" => None,
                "unix" => match row.socket_id.and_then(|id| self.unix_pair(id)) {
                    Some(pair) => Some(pair),
                    None => continue,
                },
                _ => continue,
            };
            let moved = row.result > Some(0);
            let signal = match (row.direction, channel) {
                (Some(socket_events::OUTBOUND), Some(channel)) if moved => Signal::Gives(channel),
                (Some(socket_events::INBOUND), Some(channel)) if moved => Signal::Takes(channel),
                (Some(socket_events::INBOUND), None) if moved => Signal::Unknown,
                _ => continue,
            };
            let at_ns = match signal {
                Signal::Gives(_) => Some(row.time_ns),
                _ => row.exit_ns,
            };
            signals.extend(at_ns.map(|at_ns| Signalled {
                host: self.host,
                at_ns: self.realtime_ns(at_ns),
                pid: row.pid,
                tid: row.tid,
                signal,
            }));
        }
        signals
    }

    /// The scheduler's own, between threads of one process: whoever wakes another process's thread wrote to it, and that is known better.
    fn wakeup_signals(&self) -> Vec<Signalled> {
        if self.wakeups().is_empty() {
            return Vec::new();
        }
        let pids: BTreeMap<u32, u32> = self
            .batches()
            .iter()
            .flat_map(socket_events::rows)
            .map(|row| (row.tid, row.pid))
            .collect();
        let within = |row: wakeups::WakeupRow| {
            let pid = *pids.get(&row.waker_tid)?;
            (pids.get(&row.woken_tid) == Some(&pid)).then(|| Signalled {
                host: self.host,
                at_ns: self.realtime_ns(row.time_ns),
                pid,
                tid: row.waker_tid,
                signal: Signal::Wakes(row.woken_tid),
            })
        };
        self.wakeups().iter().flat_map(wakeups::rows).filter_map(within).collect()
    }
}

/// Drops what is given to other processes.
fn keep_those_within_a_process(signals: &mut Vec<Signalled>) {
    let users = |ends: fn(&Signal) -> Option<Channel>| -> BTreeSet<(u32, Channel)> {
        signals.iter().filter_map(|s| Some((s.pid, ends(&s.signal)?))).collect()
    };
    let given = users(|signal| match signal {
        Signal::Gives(channel) => Some(*channel),
        _ => None,
    });
    let taken = users(|signal| match signal {
        Signal::Takes(channel) => Some(*channel),
        _ => None,
    });
    signals.retain_mut(|signalled| match signalled.signal {
        Signal::Gives(channel) => taken.contains(&(signalled.pid, channel)),
        Signal::Takes(channel) if !given.contains(&(signalled.pid, channel)) => {
            signalled.signal = Signal::Unknown;
            // Messages on unix sockets are known by themselves.
            !matches!(channel, Channel::UnixPair(_))
        }
        _ => true,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stays_in_a_process_says_whom_it_is_from() {
        let (own, others, pair) = (Channel::Eventfd(1), Channel::Pipe(2), Channel::UnixPair(3));
        let at = |at_ns, pid, signal| Signalled { host: 0, at_ns, pid, tid: pid, signal };
        let mut signals = vec![
            at(1, 5, Signal::Gives(own)),
            at(2, 5, Signal::Takes(own)),
            at(3, 5, Signal::Gives(others)),
            at(4, 6, Signal::Takes(others)),
            at(5, 5, Signal::Gives(pair)),
            at(6, 6, Signal::Takes(pair)),
        ];
        keep_those_within_a_process(&mut signals);
        let kept: Vec<_> = signals.iter().map(|signal| (signal.at_ns, signal.signal)).collect();
        let expected = [(1, Signal::Gives(own)), (2, Signal::Takes(own)), (4, Signal::Unknown)];
        assert_eq!(kept, expected);
    }
}
