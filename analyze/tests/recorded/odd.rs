//! Rows that no kernel writes: whatever they say, there is an analysis.

use crate::bundle::{Event, Rows};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::table::clock::ClockRow;
use afterpath_formats::table::processes::ProcessRow;
use afterpath_formats::table::socket_events::SocketEventRow;
use afterpath_formats::table::sockets::{Role, SocketRow};
use proptest::prelude::*;
use proptest::sample::select;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789";

const CALLS: [&str; 9] =
    ["read", "write", "connect", "accept", "close", "shutdown", "epoll_wait", "sendfile", "?"];
const KINDS: [&str; 6] = ["tcp", "udp", "unix", "eventfd", "epoll", "?"];
const MARKS: [Option<&str>; 8] = [
    None,
    None,
    Some("fin"),
    Some("peek"),
    Some("interleaved"),
    Some("fast-open"),
    Some("no-sequence"),
    Some("not-on-the-wire"),
];

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..10_000_000i64, 1 => any::<i64>()]
}

fn any_number() -> impl Strategy<Value = Option<u32>> {
    prop::option::of(prop_oneof![select(vec![0, 100, 127, 130, u32::MAX - 5]), any::<u32>()])
}

fn any_event() -> impl Strategy<Value = Event> {
    let who = (0..4u32, 0..4u32, prop::option::of(0..5i64), select(&CALLS[..]), select(&KINDS[..]));
    let when = (any_time(), prop::option::of(any_time()));
    let result = prop::option::of(prop_oneof![-120..200i64, Just(0), any::<i64>()]);
    let what = (prop::option::of(0..4u8), result, prop::option::of(any::<u32>()));
    let where_ = (any_number(), any_number(), select(&MARKS[..]), any::<bool>());
    let bytes = prop::option::of(select(vec![GET.to_vec(), OK.to_vec(), vec![], vec![7; 40]]));
    (who, when, what, where_, bytes).prop_map(|(who, when, what, place, bytes)| {
        let row = SocketEventRow {
            time_ns: when.0,
            exit_ns: when.1,
            kind: who.4,
            socket_id: who.2,
            pid: who.0,
            tid: who.1,
            call: who.3,
            fd: None,
            direction: what.0,
            result: what.1,
            flags: what.2,
            sequence_before: place.0,
            sequence_after: place.1,
            mark: place.2,
            peer: place.3.then(|| "10.0.0.9:53".parse().unwrap()),
            bytes: None,
        };
        Event { row, bytes }
    })
}

fn any_socket() -> impl Strategy<Value = SocketRow> {
    let address = select(vec![None, Some("10.0.0.1:80"), Some("10.0.0.2:4000"), Some("[::]:1")]);
    let role = select(vec![Role::Client, Role::Server, Role::Listener, Role::Unknown]);
    let kind = (any::<bool>(), role, select(vec![0u32, 6, 17, 262]), prop::option::of(0..5i64));
    (0..5i64, any_time(), address.clone(), address, kind).prop_map(
        |(id, at, local, remote, kind)| SocketRow {
            socket_id: id,
            valid_from_ns: at,
            written_ns: at,
            pid: 1,
            datagram: kind.0,
            local: local.map(|local| local.parse().unwrap()),
            remote: remote.map(|remote| remote.parse().unwrap()),
            protocol: kind.2,
            role: kind.1,
            peer_socket_id: kind.3,
            ..SocketRow::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_rows_are_survived(
        events in prop::collection::vec(any_event(), 1..80),
        sockets in prop::collection::vec(any_socket(), 0..10),
        clock in prop::collection::vec((any_time(), any_time(), any::<bool>()), 0..4),
    ) {
        let process = |pid: u32| ProcessRow { pid, name: "p".into(), ..ProcessRow::default() };
        let clock = clock.into_iter().map(|(boottime_ns, realtime_ns, stepped)| {
            ClockRow { boottime_ns, realtime_ns, stepped, ..ClockRow::default() }
        });
        let rows = Rows {
            events,
            sockets,
            clock: clock.collect(),
            processes: (0..2).map(process).collect(),
            ..Rows::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let analysis = analyze(&rows.open(folder.path(), &["cli"]), &Config::default());
        for call in &analysis.calls {
            let sum: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
            prop_assert!(call.hops.is_empty() || call.times().duration_ns() == Some(sum));
        }
    }
}
