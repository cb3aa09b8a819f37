//! Who is there: processes and threads as they came, changed and went, told row by row. Never keeps one that went longer than it
//! takes to tell it.

use super::container::Containers;
use super::node::{self, Seen};
use super::record::{Kind, Record};
use crate::broker::Broker;
use crate::filter::Filter;
use afterpath_formats::mask::mask_command_line;
use afterpath_formats::table::processes::ProcessRow;
use afterpath_formats::table::threads::ThreadRow;
use std::collections::HashMap;
use std::path::Path;

/// All processes and threads, by id.
pub(super) struct Book {
    processes: HashMap<u32, ProcessRow>,
    threads: HashMap<u32, ThreadRow>,
    containers: Containers,
    /// Paths of cgroups by their ids, learnt from processes that could be read.
    cgroups: HashMap<u64, String>,
    raw: bool,
    filter: Filter,
    own: [u32; 2],
    broker: Broker,
    told: Vec<ProcessRow>,
    told_threads: Vec<ThreadRow>,
}

impl Book {
    /// Empty; `raw` leaves command lines as they are. Of `filter` count its processes and namespaces; a control group's processes
    /// can't be told from others here.
    pub(super) fn new(raw: bool, filter: &Filter, broker: Broker) -> Book {
        Book {
            processes: HashMap::new(),
            threads: HashMap::new(),
            containers: Containers::new(Path::new("/")),
            cgroups: HashMap::new(),
            raw,
            filter: filter.clone(),
            own: [std::process::id(), broker.id().unwrap_or(0)],
            broker,
            told: Vec::new(),
            told_threads: Vec::new(),
        }
    }

    /// Tells anew of who was moved into another cgroup since: no event does.
    pub(super) fn look_again(&mut self) {
        let wanted = self.processes.values().filter(|row| self.is_wanted(row));
        let moved: Vec<(ProcessRow, String)> = wanted
            .filter_map(|row| Some((row.clone(), node::cgroup(row.pid)?)))
            .filter(|(row, cgroup)| row.cgroup.as_ref() != Some(cgroup))
            .collect();
        for (row, cgroup) in moved {
            self.begin(row, Some(cgroup));
        }
    }

    /// Takes what is there at the recording's start. Those that events told of meanwhile stay as told.
    pub(super) fn scan(&mut self, now_ns: i64) {
        for id in node::ids() {
            if self.own.contains(&id) || self.processes.contains_key(&id) {
                continue;
            }
            if let Some(seen) = node::look(id) {
                self.saw(id, seen, now_ns);
            }
        }
    }

    fn saw(&mut self, pid: u32, seen: Seen, now_ns: i64) {
        let row = ProcessRow {
            pid,
            valid_from_ns: now_ns,
            parent_pid: seen.parent,
            name: seen.name,
            exe: self.broker.executable(pid),
            command_line: self.command_line(&seen.arguments),
            netns: seen.netns,
            ..ProcessRow::default()
        };
        self.begin(row, node::cgroup(pid));
        for (tid, name) in seen.threads {
            self.name_thread(pid, tid, name, now_ns);
        }
    }

    /// Takes an event.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        let name = String::from_utf8_lossy(record.name).into_owned();
        match record.kind {
            Kind::Fork if record.pid == record.tid => {
                let parent = self.processes.get(&record.parent).cloned().unwrap_or_default();
                let cgroup = node::cgroup(record.pid).or(parent.cgroup.clone());
                self.end(record.pid, record.time_ns);
                let row = ProcessRow { parent_pid: record.parent, ..parent };
                self.begin(self.row(record, name.clone(), row), cgroup);
                self.name_thread(record.pid, record.tid, name, record.time_ns);
            }
            Kind::Fork => self.name_thread(record.pid, record.tid, name, record.time_ns),
            Kind::Exec { path, arguments } => {
                let before = self.processes.get(&record.pid).cloned().unwrap_or_default();
                let cgroup = node::cgroup(record.pid)
                    .or_else(|| self.cgroups.get(&record.cgroup).cloned())
                    .or(before.cgroup);
                if let Some(cgroup) = &cgroup {
                    self.cgroups.insert(record.cgroup, cgroup.clone());
                }
                self.end(record.pid, record.time_ns);
                let exe = self.broker.executable(record.pid);
                let path = || String::from_utf8_lossy(path).into_owned();
                let row = ProcessRow {
                    exe: if exe.is_empty() { path() } else { exe },
                    command_line: self.command_line(arguments),
                    parent_pid: record.parent,
                    ..ProcessRow::default()
                };
                self.begin(self.row(record, name.clone(), row), cgroup);
                self.name_thread(record.pid, record.pid, name, record.time_ns);
            }
            Kind::Exit { group_dead } => {
                if let Some(thread) = self.threads.remove(&record.tid) {
                    self.tell_thread(ThreadRow { valid_to_ns: Some(record.time_ns), ..thread });
                }
                if group_dead {
                    self.end(record.pid, record.time_ns);
                    self.processes.remove(&record.pid);
                }
            }
            Kind::Rename => self.name_thread(record.pid, record.tid, name, record.time_ns),
        }
    }

    fn row(&self, record: &Record<'_>, name: String, row: ProcessRow) -> ProcessRow {
        ProcessRow {
            pid: record.pid,
            valid_from_ns: record.time_ns,
            valid_to_ns: None,
            name,
            netns: if record.netns == 0 { row.netns } else { record.netns },
            ..row
        }
    }

    fn begin(&mut self, row: ProcessRow, cgroup: Option<String>) {
        let container = cgroup.as_ref().and_then(|cgroup| self.containers.of(cgroup));
        let container = container.unwrap_or_default();
        let row = ProcessRow {
            cgroup,
            container: (!container.id.is_empty()).then_some(container.id),
            container_name: container.name,
            pod: container.pod,
            ..row
        };
        self.tell(row.clone());
        self.processes.insert(row.pid, row);
    }

    /// Everybody is known, in case they come into a namespace that is wanted; only who is wanted is told of.
    fn tell(&mut self, row: ProcessRow) {
        if self.is_wanted(&row) {
            self.told.push(row);
        }
    }

    fn is_wanted(&self, row: &ProcessRow) -> bool {
        let Filter { processes, namespaces, .. } = &self.filter;
        (processes.is_empty() || processes.contains(&row.pid))
            && (namespaces.is_empty() || namespaces.contains(&row.netns))
    }

    /// The process as it was ends: it went, or became another program.
    fn end(&mut self, pid: u32, time_ns: i64) {
        if let Some(row) = self.processes.get(&pid) {
            if row.valid_from_ns >= time_ns {
                // It was seen by the scan before its own event was read: the event says when it began.
                let from_ns = row.valid_from_ns;
                self.told.retain(|told| (told.pid, told.valid_from_ns) != (pid, from_ns));
                return;
            }
            self.tell(ProcessRow { valid_to_ns: Some(time_ns), ..row.clone() });
        }
    }

    fn name_thread(&mut self, pid: u32, tid: u32, name: String, time_ns: i64) {
        if self.threads.get(&tid).is_some_and(|thread| thread.name == name && thread.pid == pid) {
            return;
        }
        if let Some(thread) = self.threads.remove(&tid) {
            self.tell_thread(ThreadRow { valid_to_ns: Some(time_ns), ..thread });
        }
        let thread = ThreadRow { tid, pid, name, valid_from_ns: time_ns, valid_to_ns: None };
        self.tell_thread(thread.clone());
        self.threads.insert(tid, thread);
    }

    fn tell_thread(&mut self, row: ThreadRow) {
        if self.processes.get(&row.pid).is_none_or(|process| self.is_wanted(process)) {
            self.told_threads.push(row);
        }
    }

    fn command_line(&self, arguments: &[u8]) -> String {
        let words: Vec<&[u8]> =
            arguments.strip_suffix(b"\0").unwrap_or(arguments).split(|byte| *byte == 0).collect();
        let line = if self.raw { words.join(&b' ') } else { mask_command_line(&words) };
        String::from_utf8_lossy(&line).into_owned()
    }

    /// Rows since the last call.
    pub(super) fn told(&mut self) -> (Vec<ProcessRow>, Vec<ThreadRow>) {
        (std::mem::take(&mut self.told), std::mem::take(&mut self.told_threads))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: Kind<'static>, tid: u32, time_ns: i64, name: &'static str) -> Record<'static> {
        let (pid, parent) = (4_000_000_000, 1);
        Record { kind, pid, tid, parent, netns: 9, time_ns, cgroup: 5, name: name.as_bytes() }
    }

    #[test]
    fn a_short_life_is_told_whole() {
        const PID: u32 = 4_000_000_000;
        let mut book = Book::new(false, &Filter::default(), Broker::own());
        let exec = Kind::Exec { path: b"/bin/x", arguments: b"x\0--password\0hunter2\0" };
        book.take(&record(Kind::Fork, PID, 10, "sh"));
        book.take(&record(exec, PID, 20, "x"));
        book.take(&record(Kind::Exit { group_dead: true }, PID, 30, "x"));
        let (processes, threads) = book.told();
        let lives: Vec<_> = processes
            .iter()
            .map(|row| {
                (row.name.as_str(), row.valid_from_ns, row.valid_to_ns, row.command_line.as_str())
            })
            .collect();
        assert_eq!(
            lives,
            [
                ("sh", 10, None, ""),
                ("sh", 10, Some(20), ""),
                ("x", 20, None, "x --password *******"),
                ("x", 20, Some(30), "x --password *******"),
            ]
        );
        let names: Vec<_> =
            threads.iter().map(|row| (row.name.as_str(), row.valid_to_ns)).collect();
        assert_eq!(names, [("sh", None), ("sh", Some(20)), ("x", None), ("x", Some(30))]);
        assert!(book.processes.is_empty() && book.threads.is_empty());
    }

    #[test]
    fn who_was_moved_into_another_cgroup_is_told_of_anew() {
        let mut book = Book::new(false, &Filter::default(), Broker::own());
        let own = node::look(std::process::id()).expect("it is there");
        book.saw(std::process::id(), own, 10);
        book.look_again();
        assert_eq!(book.told().0.len(), 1, "nobody was moved");
        let row = book.processes.get_mut(&std::process::id()).expect("it is known");
        row.cgroup = Some("/before".to_string());
        book.look_again();
        let told = book.told().0;
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].valid_from_ns, told[0].cgroup.clone()),
            (10, node::cgroup(std::process::id()))
        );
    }

    #[test]
    fn only_who_is_wanted_is_told_of() {
        let check = |filter: Filter, expected: usize| {
            let mut book = Book::new(false, &filter, Broker::own());
            book.take(&record(Kind::Fork, 4_000_000_000, 10, "sh"));
            let (processes, threads) = book.told();
            assert_eq!((processes.len(), threads.len()), (expected, expected), "{filter:?}");
        };
        let here = Filter { namespaces: vec![8, 9], ..Filter::default() };
        let elsewhere = Filter { namespaces: vec![8], ..Filter::default() };
        check(Filter::default(), 1);
        check(here.clone(), 1);
        check(elsewhere, 0);
        check(Filter { processes: vec![4_000_000_000], ..here.clone() }, 1);
        check(Filter { processes: vec![7], ..here }, 0);
    }

    #[test]
    fn threads_have_names_of_their_own() {
        let mut book = Book::new(true, &Filter::default(), Broker::own());
        book.take(&record(Kind::Fork, 7, 10, "main"));
        book.take(&record(Kind::Rename, 7, 11, "worker"));
        book.take(&record(Kind::Rename, 7, 12, "worker"));
        book.take(&record(Kind::Exit { group_dead: false }, 7, 13, "worker"));
        let (processes, threads) = book.told();
        assert_eq!(processes, []);
        let names: Vec<_> = threads
            .iter()
            .map(|row| (row.name.as_str(), row.valid_from_ns, row.valid_to_ns))
            .collect();
        assert_eq!(
            names,
            [
                ("main", 10, None),
                ("main", 10, Some(11)),
                ("worker", 11, None),
                ("worker", 11, Some(13))
            ]
        );
    }
}
