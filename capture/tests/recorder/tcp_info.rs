//! What the kernel knew of a connection when it ended: refused, reset, left unread. What it sent again is held against the packets
//! in `tiling`.

use super::made::{Recorder, can_record};
use afterpath_formats::table::tcp_info::TcpInfoRow;
use std::collections::BTreeMap;

/// Ends three connections, and says the port of each one's client.
const PROGRAM: &str = "
import socket, struct, sys, time
listener = socket.create_server(('127.0.0.1', 0))
address = listener.getsockname()
def talk():
    client = socket.create_connection(address)
    return client, listener.accept()[0]
def named(name, client):
    print(name, client.getsockname()[1], flush=True)
client, server = talk()
named('ended', client)
client.sendall(b'x' * 1000)
server.recv(1000, socket.MSG_WAITALL)
client.close()
server.recv(1)
server.close()
client, server = talk()
named('reset', client)
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
server.sendall(b'y' * 77)
client.recv(70)
client.close()
time.sleep(0.1)
server.close()
refused = socket.socket()
refused.bind(('127.0.0.1', 0))
named('refused', refused)
listener.close()
try: refused.connect(address)
except ConnectionRefusedError: pass
refused.close()
";

#[test]
fn how_each_connection_ended() {
    if !can_record("sockets", "the ends of connections") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let said = folder.path().join("said");
    let script = format!("python3 -c \"$0\" > {}", said.display());
    let recorder = Recorder::start(&["--probes", "sockets", "--", "sh", "-c", &script, PROGRAM]);
    let recorded = recorder.wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
    let ports: BTreeMap<String, u16> = std::fs::read_to_string(&said)
        .expect("it said something")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, port)| (name.to_string(), port.parse().expect("a port")))
        .collect();
    let mut rows: BTreeMap<(u16, bool), TcpInfoRow> = BTreeMap::new();
    let ends: BTreeMap<i64, _> =
        recorded.sockets().iter().map(|row| (row.socket_id, (row.local, row.remote))).collect();
    for row in recorded.tcp_info() {
        if let Some((Some(local), remote)) = ends.get(&row.socket_id) {
            let is_client = ports.values().any(|port| *port == local.port());
            let port = if is_client { Some(*local) } else { *remote }.map_or(0, |end| end.port());
            rows.insert((port, is_client), row);
        }
    }
    let row = |name: &str, is_client: bool| {
        rows.get(&(ports[name], is_client))
            .unwrap_or_else(|| panic!("{name}, {is_client}: {rows:?}"))
    };
    let (client, server) = (row("ended", true), row("ended", false));
    // The server's end is waited for: it is closed last.
    assert_eq!((client.state.as_str(), server.state.as_str()), ("fin-wait-2", "last-ack"));
    assert_eq!((client.bytes_sent, server.bytes_received), (1000, 1001), "and FIN");
    assert_eq!(client.bytes_acknowledged, 1002, "and both");
    assert_eq!((client.bytes_retransmitted, client.unacknowledged, server.unread), (0, 0, 0));
    assert_eq!((client.error, server.error), (None, None));
    assert!(client.rtt_us.is_some() && client.min_rtt_us.is_some() && client.segments_sent >= 3);
    let (client, server) = (row("reset", true), row("reset", false));
    assert_eq!((client.state.as_str(), client.unread), ("established", 7));
    assert_eq!((server.state.as_str(), server.error), ("established", Some(104)));
    assert_eq!((server.bytes_sent, server.bytes_acknowledged), (77, 77));
    let refused = row("refused", true);
    assert_eq!((refused.state.as_str(), refused.error), ("syn-sent", Some(111)));
    assert_eq!((refused.bytes_sent, refused.rtt_us), (0, None));
}
