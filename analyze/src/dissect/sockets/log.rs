//! What threads did when: the reads and writes behind a flow at a process, and when a thread waited for events. Never the
//! bytes.

use crate::dissect::sockets::clock_set::ClockSet;
use std::collections::BTreeMap;

/// A read or a write that moved bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// When it counts: a write's entry, a read's return; on the packets' clock, as all times here.
    pub at_ns: i64,
    /// Entry into the call.
    pub entry_ns: i64,
    /// Return from it.
    pub exit_ns: i64,
    /// The process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
}

/// What a process did on one socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SocketLog {
    /// Index of the host.
    pub host: u32,
    /// Reads, then writes, each in order of `at_ns`.
    pub moved: [Vec<Moved>; 2],
    /// When accept returned it.
    pub accepted_ns: Option<i64>,
    /// The connect that was asked for.
    pub connected: Option<Moved>,
}

impl SocketLog {
    /// The read that returned at this instant.
    pub fn read_at(&self, at_ns: i64) -> Option<&Moved> {
        find(&self.moved[0], at_ns)
    }

    /// The write that was entered at this instant.
    pub fn written_at(&self, at_ns: i64) -> Option<&Moved> {
        find(&self.moved[1], at_ns)
    }
}

fn find(moved: &[Moved], at_ns: i64) -> Option<&Moved> {
    let at = moved.partition_point(|moved| moved.at_ns < at_ns);
    moved.get(at).filter(|moved| moved.at_ns == at_ns)
}

/// A call that waited for events (epoll, select, poll).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// Entry.
    pub entry_ns: i64,
    /// Return.
    pub exit_ns: i64,
    /// Descriptors that were ready.
    pub n_ready: i64,
}

impl Wait {
    /// From entry to return.
    pub fn lasted_ns(&self) -> i64 {
        self.exit_ns.saturating_sub(self.entry_ns)
    }
}

/// A goroutine or task, by its process and the runtime's number for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    /// The process.
    pub pid: u32,
    /// The number.
    pub id: i64,
}

/// A thread began to run a task, as seen at a socket call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Switch {
    /// Within the call.
    pub from_ns: i64,
    /// The task.
    pub task: Task,
    /// The task that made it.
    pub creator: Option<Task>,
}

/// Where threads of a process leave word for one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// An eventfd, by its number.
    Eventfd(i64),
    /// A pipe, by its inode number.
    Pipe(i64),
    /// Two unix sockets joined to one another, by the lower of their numbers.
    UnixPair(i64),
}

/// That there is work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// Wrote to a channel that a thread of its process reads.
    Gives(Channel),
    /// Read all that was written to it.
    Takes(Channel),
    /// Woke this thread of its process.
    Wakes(u32),
    /// Read a timer, or what another process wrote.
    Unknown,
}

/// A signal, by whom and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signalled {
    /// Index of the host.
    pub host: u32,
    /// Entry into a write, return of a read; on the packets' clock.
    pub at_ns: i64,
    /// The process.
    pub pid: u32,
    /// The thread that did it.
    pub tid: u32,
    /// What.
    pub signal: Signal,
}

/// What was recorded at sockets, beside flows and spans.
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    /// By flow.
    pub logs: BTreeMap<u32, SocketLog>,
    /// By host and thread, in order of their entry.
    pub waits: BTreeMap<(u32, u32), Vec<Wait>>,
    /// By what threads told one another that there was work, host by host, in order.
    pub signals: Vec<Signalled>,
    /// By host and thread, the tasks that it ran, in order.
    pub tasks: BTreeMap<(u32, u32), Vec<Switch>>,
    /// When hosts' clocks were set.
    pub sets: Vec<ClockSet>,
    /// Per host, how far a socket's time may lie from the packets' clock.
    pub bounds_ns: BTreeMap<u32, i64>,
}

impl Sockets {
    /// The task that did this, where its runtime showed one. Its switch was seen within the call itself, or before.
    pub fn task_of(&self, host: u32, moved: &Moved) -> Option<Task> {
        let switches = self.tasks.get(&(host, moved.tid))?;
        let until = switches.partition_point(|switch| switch.from_ns <= moved.exit_ns);
        let task = switches[..until].last()?.task;
        // The thread's number may have been another process's.
        (task.pid == moved.pid).then_some(task)
    }

    /// The last waits of a thread that returned before `at_ns`, the latest last.
    pub fn waits_before(&self, host: u32, tid: u32, at_ns: i64) -> &[Wait] {
        let waits = self.waits.get(&(host, tid)).map_or(&[][..], Vec::as_slice);
        let until = waits.partition_point(|wait| wait.entry_ns <= at_ns);
        let until = until - usize::from(waits[..until].last().is_some_and(|w| w.exit_ns > at_ns));
        &waits[..until]
    }

    /// The last wait of a thread that returned before `at_ns`.
    pub fn wait_before(&self, host: u32, tid: u32, at_ns: i64) -> Option<&Wait> {
        let waits = self.waits.get(&(host, tid))?;
        let until = waits.partition_point(|wait| wait.entry_ns <= at_ns);
        waits[..until].last().filter(|wait| wait.exit_ns <= at_ns)
    }
}
