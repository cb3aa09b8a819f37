//! Tables the recorder will write: specified here so that readers and writers agree before they exist.
//! Never built or read yet; columns stand as data only.

use super::{Column, Layout, Table, Type};

const fn time(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Int64, about).layout(Layout::Delta)
}

const fn int(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Int64, about)
}

const fn u32(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::UInt32, about)
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column::new(name, Type::Text, about)
}

const FROM: Column = time("valid_from_ns", "when it appeared, or the recording's start");
const TO: Column = time("valid_to_ns", "when it went; null: still there at the end").nullable();
const PID: Column = u32("pid", "process, in the initial namespace");
const TID: Column = u32("tid", "thread, in the initial namespace");
const SOCKET: Column = int("socket_id", "row of `sockets`: the kernel's socket cookie");
const FAMILY: Column = Column::new("family", Type::UInt8, "4 or 6").nullable();
const SOURCE: Column = Column::new("local_address", Type::Address, "local address").nullable();
const REMOTE: Column = Column::new("remote_address", Type::Address, "remote address").nullable();
const LOCAL_PORT: Column = Column::new("local_port", Type::UInt16, "local port").nullable();
const REMOTE_PORT: Column = Column::new("remote_port", Type::UInt16, "remote port").nullable();
const PROTOCOL: Column = Column::new("protocol", Type::UInt8, "transport protocol number");
const NETNS: Column = u32("netns", "network namespace's inode number");

/// Processes.
pub const PROCESSES: Table = Table {
    name: "processes",
    about: "one process from start (or the recording's start) to exit",
    order: &["pid", "valid_from_ns"],
    columns: &[
        PID,
        FROM,
        TO,
        u32("parent_pid", "its parent"),
        text("exe", "executable"),
        text("command_line", "arguments, secrets masked"),
        text("cgroup", "cgroup path").nullable(),
        text("container", "container id").nullable(),
        text("pod", "pod name").nullable(),
        NETNS,
    ],
};

/// Sockets.
pub const SOCKETS: Table = Table {
    name: "sockets",
    about: "one socket; those open before the recording too",
    order: &["socket_id"],
    columns: &[
        SOCKET,
        FROM,
        TO,
        int("inode", "its inode number"),
        PID,
        FAMILY,
        SOURCE,
        REMOTE,
        LOCAL_PORT,
        REMOTE_PORT,
        PROTOCOL,
        NETNS,
        text("role", "`client`, `server`, `listener` or `unknown`"),
    ],
};

/// What threads did with sockets.
pub const SOCKET_EVENTS: Table = Table {
    name: "socket_events",
    about: "one read, write, connect, accept, close …, event-loop turn or eventfd, pipe or timerfd use",
    order: &["time_ns"],
    columns: &[
        time("time_ns", "entry"),
        time("exit_ns", "exit").nullable(),
        SOCKET.nullable(),
        PID,
        TID,
        text("call", "system call"),
        u32("fd", "file descriptor").nullable(),
        int("result", "bytes, or the negative error number").nullable(),
        u32("sequence_before", "TCP sequence at entry").nullable(),
        u32("sequence_after", "TCP sequence at exit").nullable(),
        Column::new("bytes", Type::Binary, "the first bytes moved")
            .nullable()
            .layout(Layout::Payload),
    ],
};

/// TLS reads and writes.
pub const PLAINTEXT: Table = Table {
    name: "plaintext",
    about: "one TLS read or write",
    order: &["time_ns"],
    columns: &[
        time("time_ns", "entry"),
        time("exit_ns", "exit"),
        PID,
        TID,
        SOCKET.nullable(),
        Column::new("direction", Type::UInt8, "1 inbound, 2 outbound"),
        u32("sequence", "TCP sequence beneath").nullable(),
        int("length", "bytes of plaintext"),
        Column::new("bytes", Type::Binary, "its first bytes").nullable().layout(Layout::Payload),
    ],
};

/// Goroutines, tasks.
pub const TASKS: Table = Table {
    name: "tasks",
    about: "one goroutine or task on one thread, between two hand-offs",
    order: &["pid", "task_id", "valid_from_ns"],
    columns: &[
        PID,
        TID,
        int("task_id", "the runtime's number for it"),
        int("creator_task_id", "the task that made it").nullable(),
        text("runtime", "`go`, `tokio` …"),
        FROM,
        TO,
    ],
};

/// Who woke whom.
pub const WAKEUPS: Table = Table {
    name: "wakeups",
    about: "one wake-up of a thread by another",
    order: &["time_ns"],
    columns: &[
        time("time_ns", "when"),
        u32("waker_tid", "the waking thread; 0: an interrupt"),
        u32("woken_tid", "the woken thread"),
        time("running_ns", "when the woken thread ran").nullable(),
    ],
};

/// Address translation.
pub const NAT: Table = Table {
    name: "nat",
    about: "one connection-tracking entry: the authoritative tuple pair",
    order: &["valid_from_ns"],
    columns: &[
        FROM,
        TO,
        NETNS,
        PROTOCOL,
        Column::new("family", Type::UInt8, "4 or 6"),
        Column::new("original_source", Type::Address, "original direction's source"),
        Column::new("original_destination", Type::Address, "original direction's destination"),
        Column::new("original_source_port", Type::UInt16, "original direction's source port"),
        Column::new(
            "original_destination_port",
            Type::UInt16,
            "original direction's destination port",
        ),
        Column::new("reply_source", Type::Address, "reply direction's source"),
        Column::new("reply_destination", Type::Address, "reply direction's destination"),
        Column::new("reply_source_port", Type::UInt16, "reply direction's source port"),
        Column::new("reply_destination_port", Type::UInt16, "reply direction's destination port"),
    ],
};

/// Counters, once a second.
pub const COUNTERS: Table = Table {
    name: "counters",
    about: "one counter's value in one second",
    order: &["name", "subject", "time_ns"],
    columns: &[
        time("time_ns", "when it was read"),
        text("name", "`nstat.ListenOverflows`, `softnet.dropped`, `psi.cpu.some` …"),
        text("subject", "interface, cgroup, socket or processor it is about").nullable(),
        int("value", "cumulative count, or the gauge's value in its own unit"),
    ],
};

/// Stack points.
pub const KERNEL_PATH: Table = Table {
    name: "kernel_path",
    about: "one packet past one point of the kernel's network stack, or its drop there",
    order: &["time_ns"],
    columns: &[
        time("time_ns", "when"),
        text("point", "the kernel function or tracepoint"),
        u32("ifindex", "device").nullable(),
        NETNS.nullable(),
        Column::new("header", Type::Binary, "L2–L4 header bytes only").layout(Layout::Payload),
        u32("length", "packet length in bytes"),
        text("drop_reason", "the kernel's drop reason; null: it went on").nullable(),
    ],
};

/// Imported tracer spans.
pub const SPANS: Table = Table {
    name: "spans",
    about: "one span of a tracer",
    order: &["start_ns"],
    columns: &[
        time("start_ns", "start, Unix time of the tracer's host"),
        time("end_ns", "end"),
        Column::new("trace_id", Type::Address, "trace id, left-padded with zeros"),
        int("span_id", "span id, as two's complement"),
        int("parent_span_id", "its parent").nullable(),
        text("service", "`service.name`"),
        text("name", "operation"),
        Column::new(
            "kind",
            Type::UInt8,
            "OTLP span kind: 0 unspecified, 1 internal, 2 server, 3 client, 4 producer, 5 consumer",
        ),
        Column::new("status", Type::UInt8, "OTLP status: 0 unset, 1 ok, 2 error"),
        text("attributes", "JSON object").nullable(),
    ],
};
