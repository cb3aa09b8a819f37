//! Whose each row of a recording is: the machine that its namespace becomes, or all of them. Never changes a row.

use afterpath_formats::table::interfaces::InterfaceRow;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, UInt32Type};
use std::collections::HashMap;

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// One machine's.
    One(usize),
    /// What all of them would have seen: the kernel's own.
    All,
}

/// The machine of everything that no namespace of its own tells.
const REST: usize = 0;

/// Which machine namespaces, processes, threads, sockets and interfaces belong to.
#[derive(Debug, Default)]
pub(super) struct Owners {
    names: HashMap<String, usize>,
    namespaces: HashMap<i64, usize>,
    interfaces: Vec<usize>,
    processes: HashMap<i64, usize>,
    threads: HashMap<i64, usize>,
    sockets: HashMap<i64, usize>,
}

impl Owners {
    /// `machine_of` gives a namespace's machine, by its name.
    pub(super) fn new(interfaces: &[InterfaceRow], machine_of: impl Fn(&str) -> usize) -> Owners {
        let mut owners = Owners::default();
        for row in interfaces {
            let name = row.netns.clone().unwrap_or_default();
            let machine = machine_of(&name);
            owners.interfaces.push(machine);
            owners.namespaces.extend(row.netns_inode.map(|inode| (i64::from(inode), machine)));
            owners.names.insert(name, machine);
        }
        owners
    }

    /// Learns which namespace processes and sockets are in, and whose a thread is.
    pub(super) fn learn(
        &mut self,
        processes: &RecordBatch,
        threads: &RecordBatch,
        sockets: &RecordBatch,
    ) {
        let machines = |batch: &RecordBatch, id: &str, owners: &[Owner]| {
            let one = |owner: &Owner| if let Owner::One(machine) = owner { *machine } else { REST };
            let ids = numbers(batch, id);
            ids.into_iter().zip(owners).filter_map(|(id, owner)| Some((id?, one(owner)))).collect()
        };
        self.processes = machines(processes, "pid", &self.of("processes", processes));
        self.threads = machines(threads, "tid", &self.of("threads", threads));
        self.sockets = machines(sockets, "socket_id", &self.of("sockets", sockets));
    }

    /// Whose each row of a table is.
    pub(super) fn of(&self, table: &str, batch: &RecordBatch) -> Vec<Owner> {
        let by = |column: &str, machine: &dyn Fn(i64) -> Option<usize>| -> Vec<Owner> {
            let ids = numbers(batch, column).into_iter();
            ids.map(|id| Owner::One(id.and_then(machine).unwrap_or(REST))).collect()
        };
        let of_process = |pid: i64| self.processes.get(&pid).copied();
        match table {
            "hosts" | "clock" => vec![Owner::All; batch.num_rows()],
            "counters" => self.of_counters(batch),
            "interfaces" | "packets" | "losses" => by("interface_id", &|id| self.interface(id)),
            "processes" | "sockets" | "nat" | "kernel_path" => {
                by("netns", &|inode| self.namespaces.get(&inode).copied())
            }
            "threads" | "plaintext" | "tasks" => by("pid", &of_process),
            "wakeups" => by("woken_tid", &|tid| self.thread(tid)),
            "tcp_info" => by("socket_id", &|id| self.sockets.get(&id).copied()),
            "socket_events" => {
                let of_socket = by("pid", &of_process);
                let kinds = batch["kind"].as_string::<i32>();
                let ids = numbers(batch, "socket_id");
                let rows = of_socket.into_iter().zip(kinds).zip(ids);
                let owner = |((of_process, kind), id): ((Owner, Option<&str>), Option<i64>)| {
                    let is_socket = matches!(kind, Some("tcp" | "udp" | "unix"));
                    let known = id.filter(|_| is_socket).and_then(|id| self.sockets.get(&id));
                    known.map_or(of_process, |machine| Owner::One(*machine))
                };
                rows.map(owner).collect()
            }
            _ => vec![Owner::One(REST); batch.num_rows()],
        }
    }

    /// The machine of an interface.
    pub(super) fn interface(&self, id: i64) -> Option<usize> {
        self.interfaces.get(usize::try_from(id).ok()?).copied()
    }

    /// The machine of a thread.
    pub(super) fn thread(&self, tid: i64) -> Option<usize> {
        self.threads.get(&tid).or_else(|| self.processes.get(&tid)).copied()
    }

    /// Counters of a namespace or of an interface in it (`ap-podC/eth0`) are its machine's; processors and pressure are seen by all.
    fn of_counters(&self, batch: &RecordBatch) -> Vec<Owner> {
        let owner = |subject: Option<&str>| {
            let name = subject.unwrap_or_default().split('/').next().unwrap_or_default();
            let named = self.names.get(name).filter(|_| !name.is_empty());
            named.map_or(Owner::All, |machine| Owner::One(*machine))
        };
        batch["subject"].as_string::<i32>().iter().map(owner).collect()
    }
}

/// A column of whole numbers of any width; none where the table has no such column.
pub(super) fn numbers(batch: &RecordBatch, column: &str) -> Vec<Option<i64>> {
    let Some(values) = batch.column_by_name(column) else { return vec![None; batch.num_rows()] };
    if let Some(wide) = values.as_primitive_opt::<Int64Type>() {
        return wide.iter().collect();
    }
    let narrow = values.as_primitive_opt::<UInt32Type>();
    narrow.map_or(vec![None; values.len()], |n| n.iter().map(|v| v.map(i64::from)).collect())
}
