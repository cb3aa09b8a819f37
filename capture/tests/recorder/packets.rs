//! Frames of all namespaces: each once at each interface that it passes, late namespaces too, none doubled on loopback, tags put
//! back, and none lost without being counted. The namespaces are this test's own.

use super::made::{Recorded, Recorder, batches, can_record};
use super::net::Net;
use afterpath_formats::table::interfaces::{self, InterfaceRow};
use afterpath_formats::table::packets;
use arrow::array::AsArray;
use arrow::datatypes::{UInt16Type, UInt32Type};
use std::collections::BTreeMap;

/// Whether namespaces can be made here.
fn can_test(what: &str) -> bool {
    can_record("packets", what)
}

/// Frames to a UDP port, by namespace and interface.
pub(crate) fn to_port(recorded: &Recorded, port: u16) -> BTreeMap<(String, String), usize> {
    let mut rows: BTreeMap<u32, InterfaceRow> = BTreeMap::new();
    for batch in batches(&recorded.path, &interfaces::TABLE) {
        rows.extend(interfaces::rows(&batch).into_iter().map(|row| (row.interface_id, row)));
    }
    let mut counts = BTreeMap::new();
    for batch in batches(&recorded.path, &packets::TABLE) {
        let ids =
            batch.column_by_name("interface_id").expect("a column").as_primitive::<UInt32Type>();
        let ports = batch
            .column_by_name("destination_port")
            .expect("a column")
            .as_primitive::<UInt16Type>();
        for (id, to) in ids.iter().zip(ports) {
            if let (Some(id), Some(to)) = (id, to)
                && to == port
            {
                let row = &rows[&id];
                let place = (row.netns.clone().unwrap_or_default(), row.name.clone());
                *counts.entry(place).or_default() += 1;
            }
        }
    }
    counts
}

/// Sends `n` datagrams to a port, back to back.
pub(crate) fn send(to: &str, port: u16, n: usize) -> String {
    format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor n in range({n}):\n s.sendto(b'x' * 200, ('{to}', {port}))\n"
    )
}

#[test]
fn every_frame_is_there_once_at_each_interface() {
    if !can_test("frames of two namespaces") {
        return;
    }
    let net = Net::new("once");
    let recorder = Recorder::start(&["--probes", "packets"]);
    net.python(0, &send("10.77.0.2", 7701, 3000));
    net.python(0, &send("127.0.0.1", 7702, 3000));
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), []);
    let [a, b] = net.names.clone();
    let place = |name: &str, interface: &str| (name.to_string(), interface.to_string());
    let expected = BTreeMap::from([(place(&a, "veth0"), 3000), (place(&b, "veth0"), 3000)]);
    assert_eq!(to_port(&recorded, 7701), expected);
    assert_eq!(
        to_port(&recorded, 7702),
        BTreeMap::from([(place(&a, "lo"), 3000)]),
        "lo is not doubled"
    );
    let rows: Vec<InterfaceRow> =
        batches(&recorded.path, &interfaces::TABLE).iter().flat_map(interfaces::rows).collect();
    let veth = rows.iter().find(|row| row.netns.as_ref() == Some(&a) && row.name == "veth0");
    let veth = veth.expect("it is told");
    assert_eq!(veth.kind, "veth");
    assert!(veth.peer.is_some() && veth.netns_inode.is_some());
    assert!(veth.addresses.as_ref().is_some_and(|all| all.starts_with("10.77.0.1/24")), "{veth:?}");
}

#[test]
fn a_late_namespace_is_recorded_within_a_second() {
    if !can_test("a late namespace") {
        return;
    }
    let recorder = Recorder::start(&["--probes", "packets"]);
    let net = Net::new("late");
    // It is looked for once a second.
    let program = "import time\ntime.sleep(2.2)\n".to_string() + &send("10.77.0.2", 7711, 100);
    net.python(0, &program);
    let names = net.names.clone();
    drop(net);
    // Gone again: what was recorded of it stays.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let recorded = recorder.stop();
    let counts = to_port(&recorded, 7711);
    assert_eq!(counts.get(&(names[0].clone(), "veth0".to_string())), Some(&100), "{counts:?}");
    let rows: Vec<InterfaceRow> =
        batches(&recorded.path, &interfaces::TABLE).iter().flat_map(interfaces::rows).collect();
    let of_it = rows.iter().filter(|row| row.netns.as_ref() == Some(&names[0]));
    assert!(
        of_it.clone().count() >= 2 && of_it.clone().all(|row| row.valid_to_ns.is_some()),
        "{rows:?}"
    );
}

#[test]
fn frames_are_recorded_or_counted_as_lost() {
    if !can_test("overload of a packet ring") {
        return;
    }
    let net = Net::new("over");
    let recorder =
        Recorder::start(&["--probes", "packets", "--memory", "1MiB", "--netns", &net.names[1]]);
    const N: usize = 150_000;
    net.python(0, &send("10.77.0.2", 7721, N));
    let recorded = recorder.stop();
    let lost: i64 = recorded.losses().iter().map(|row| row.count).sum();
    let rows: usize = batches(&recorded.path, &packets::TABLE).iter().map(|b| b.num_rows()).sum();
    let made = recorded.counter("recorder.records", Some("packets")).expect("told");
    assert_eq!(made, rows as i64 + lost);
    // All datagrams, and the few frames that resolve addresses and answer that nobody listens.
    assert!(made >= N as i64, "{rows} rows, {lost} lost");
}

/// A tagged frame, sent as it is.
const TAGGED: &str = "
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('veth0', 0))
ip = bytes.fromhex('4500001e000100004011') + b'\\0\\0' + bytes([10,77,0,1,10,77,0,2])
udp = (7000).to_bytes(2,'big') + (7731).to_bytes(2,'big') + (10).to_bytes(2,'big') + b'\\0\\0hi'
s.send(b'\\xff'*6 + b'\\2'*6 + bytes.fromhex('81000005') + bytes.fromhex('0800') + ip + udp + b'\\0'*20)
";

#[test]
fn tags_are_put_back() {
    if !can_test("VLAN tags") {
        return;
    }
    let net = Net::new("vlan");
    let recorder = Recorder::start(&["--probes", "packets", "--payload", "raw"]);
    net.python(0, TAGGED);
    let recorded = recorder.stop();
    let mut n_tagged = 0;
    for batch in batches(&recorded.path, &packets::TABLE) {
        let frames = batch.column_by_name("frame").expect("a column").as_binary::<i32>();
        let wrappers = batch.column_by_name("encapsulation").expect("a column").as_string::<i32>();
        for (frame, wrapper) in frames.iter().zip(wrappers) {
            if wrapper == Some("vlan:5") {
                n_tagged += 1;
                assert_eq!(frame.expect("a frame")[12..18], [0x81, 0, 0, 5, 8, 0]);
            }
        }
    }
    assert_eq!(n_tagged, 2, "where it left and where it came in");
}
