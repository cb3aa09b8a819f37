//! Which socket an event belongs to, whatever became of its descriptor: sockets open before, descriptors used again, other
//! kinds of sockets, filters.

use super::made::{Recorded, Recorder, can_record};
use afterpath_formats::table::sockets::{Role, SocketRow};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

fn own() -> String {
    std::process::id().to_string()
}

fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    (client, listener.accept().expect("accepted").0)
}

/// Sockets by their local and remote address.
fn by_addresses(recorded: &Recorded) -> BTreeMap<(String, String), SocketRow> {
    let text =
        |address: Option<std::net::SocketAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    recorded.sockets().into_iter().map(|row| ((text(row.local), text(row.remote)), row)).collect()
}

#[test]
fn a_socket_open_before_is_known_from_the_start() {
    if !can_record("sockets", "sockets open before the start") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (mut client, mut server) = pair(&listener);
    let (from, to) =
        (client.local_addr().expect("an address"), client.peer_addr().expect("an address"));
    let recorder = Recorder::start(&["--probes", "sockets", "--payload", "raw", "--pid", &own()]);
    client.write_all(b"hello").expect("written");
    server.read_exact(&mut [0; 5]).expect("read");
    let recorded = recorder.stop();
    let sockets = by_addresses(&recorded);
    let client = &sockets[&(from.to_string(), to.to_string())];
    let server = &sockets[&(to.to_string(), from.to_string())];
    assert_eq!((client.pid, server.pid), (std::process::id(), std::process::id()));
    let mut seen = Vec::new();
    recorded.each_event(|event| {
        if event.bytes == Some(b"hello") {
            seen.push((event.socket_id, event.call.to_string()));
        }
    });
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().any(|(id, _)| *id == Some(client.socket_id)));
    assert!(seen.iter().any(|(id, _)| *id == Some(server.socket_id)));
}

/// Each round a connection sends a text that names it; half of them are then closed by close_range, which leaves no close()
/// behind. The next one takes the same descriptor, often the same memory in the kernel.
const USED_AGAIN: &str = r#"
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1], "w") as truth:
    for round in range(60):
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
        text = f"round {round}"
        client.send(text.encode())
        truth.write(f"{text},{client.getsockname()[1]}\n")
        fd = client.detach() if round % 2 else client.fileno()
        if round % 2:
            os.closerange(fd, fd + 1)
        client.close()
        server.close()
"#;

#[test]
fn a_descriptor_used_again_is_another_socket() {
    if !can_record("sockets", "descriptors used again") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let truth = folder.path().join("truth");
    let truth = truth.to_str().expect("text");
    let command = ["--", "python3", "-c", USED_AGAIN, truth];
    let mut arguments = vec!["--probes", "sockets", "--payload", "raw"];
    arguments.extend(command);
    let recorded = Recorder::start(&arguments).wait();
    assert_eq!(recorded.code, Some(0), "{}", recorded.said);
    let told = std::fs::read_to_string(truth).expect("the truth");
    let expected: BTreeMap<String, u16> = told
        .lines()
        .filter_map(|line| line.split_once(','))
        .map(|(text, port)| (text.to_string(), port.parse().expect("a port")))
        .collect();
    assert_eq!(expected.len(), 60);
    let local: BTreeMap<i64, u16> = recorded
        .sockets()
        .into_iter()
        .filter_map(|row| Some((row.socket_id, row.local?.port())))
        .collect();
    let mut found = BTreeMap::new();
    recorded.each_event(|event| {
        let text = event.bytes.and_then(|bytes| std::str::from_utf8(bytes).ok());
        // Others on this machine send text, too, over sockets without a port.
        let text = text.filter(|text| text.starts_with("round "));
        if let (Some(text), Some(id), Some(2)) = (text, event.socket_id, event.direction) {
            found.insert(text.to_string(), local[&id]);
        }
    });
    assert_eq!(found, expected);
}

#[test]
fn other_kinds_of_sockets() {
    if !can_record("sockets", "UDP and unix sockets") {
        return;
    }
    let recorder = Recorder::start(&["--probes", "sockets", "--payload", "raw", "--pid", &own()]);
    let (here, there) = (
        UdpSocket::bind("127.0.0.1:0").expect("bound"),
        UdpSocket::bind("[::1]:0").expect("bound"),
    );
    let six = UdpSocket::bind("[::1]:0").expect("bound");
    let four = UdpSocket::bind("127.0.0.1:0").expect("bound");
    here.send_to(b"four", four.local_addr().expect("an address")).expect("sent");
    six.send_to(b"six", there.local_addr().expect("an address")).expect("sent");
    four.recv_from(&mut [0; 64]).expect("received");
    there.recv_from(&mut [0; 64]).expect("received");
    let (mut left, mut right) = UnixStream::pair().expect("a pair");
    left.write_all(b"unix").expect("written");
    right.read_exact(&mut [0; 4]).expect("read");
    let recorded = recorder.stop();
    let mut seen: BTreeMap<String, Vec<(String, Option<u8>, bool)>> = BTreeMap::new();
    recorded.each_event(|event| {
        if let Some(bytes) = event.bytes {
            let text = String::from_utf8_lossy(bytes).into_owned();
            seen.entry(text).or_default().push((
                event.kind.to_string(),
                event.direction,
                event.peer.is_some(),
            ));
        }
    });
    let both = |kind: &str, has_peer: bool| {
        vec![(kind.to_string(), Some(2), has_peer), (kind.to_string(), Some(1), has_peer)]
    };
    assert_eq!(seen["four"], both("udp", true));
    assert_eq!(seen["six"], both("udp", true));
    assert_eq!(seen["unix"], both("unix", false));
    let peers: BTreeMap<i64, Option<i64>> =
        recorded.sockets().iter().map(|row| (row.socket_id, row.peer_socket_id)).collect();
    let paired =
        peers.iter().filter(|(id, peer)| peer.is_some_and(|p| peers.get(&p) == Some(&Some(**id))));
    assert_eq!(paired.count(), 2, "the two ends of the pair name each other");
}

#[test]
fn filters_act_before_anything_is_recorded() {
    if !can_record("sockets", "filters") {
        return;
    }
    let wanted = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let other = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = wanted.local_addr().expect("an address").port().to_string();
    let recorder = Recorder::start(&[
        "--probes",
        "sockets",
        "--payload",
        "raw",
        "--pid",
        &own(),
        "--port",
        &port,
    ]);
    for (listener, text) in [(&wanted, b"wanted"), (&other, b"others")] {
        let (mut client, mut server) = pair(listener);
        client.write_all(text).expect("written");
        server.read_exact(&mut [0; 6]).expect("read");
    }
    let recorded = recorder.stop();
    let (mut n_wanted, mut n_others) = (0, 0);
    recorded.each_event(|event| {
        n_wanted += usize::from(event.bytes == Some(b"wanted"));
        n_others += usize::from(event.bytes == Some(b"others"));
    });
    assert_eq!((n_wanted, n_others), (2, 0));
    assert!(recorded.sockets().iter().all(|row| row.role != Role::Unknown
        || row.local.is_none_or(|l| l.port().to_string() == port
            || row.remote.is_some_and(|r| r.port().to_string() == port))));
}

#[test]
fn datagrams_of_unconnected_sockets_are_chosen_by_their_other_end() {
    if !can_record("sockets", "datagrams by port") {
        return;
    }
    let bound = || UdpSocket::bind("127.0.0.1:0").expect("bound");
    let (wanted, other, asker) = (bound(), bound(), bound());
    let address = |socket: &UdpSocket| socket.local_addr().expect("an address");
    let port = address(&wanted).port().to_string();
    let recorder = Recorder::start(&[
        "--probes",
        "sockets",
        "--payload",
        "raw",
        "--pid",
        &own(),
        "--port",
        &port,
    ]);
    let mut buffer = [0; 64];
    for (server, text) in [(&other, "others"), (&wanted, "wanted"), (&other, "others")] {
        asker.send_to(text.as_bytes(), address(server)).expect("sent");
        let (n, from) = server.recv_from(&mut buffer).expect("received");
        server.send_to(&buffer[..n], from).expect("sent");
        asker.recv_from(&mut buffer).expect("received");
    }
    let recorded = recorder.stop();
    let mut seen = Vec::new();
    recorded.each_event(|event| {
        let text = String::from_utf8_lossy(event.bytes.unwrap_or_default()).into_owned();
        seen.push((event.socket_id, event.direction, text));
    });
    let ids: BTreeMap<(String, String), i64> =
        by_addresses(&recorded).into_iter().map(|(at, row)| (at, row.socket_id)).collect();
    let id = |socket: &UdpSocket| Some(ids[&(address(socket).to_string(), String::new())]);
    let moved = |socket, direction| (id(socket), Some(direction), "wanted".to_string());
    assert_eq!(seen, [moved(&asker, 2), moved(&wanted, 1), moved(&wanted, 2), moved(&asker, 1)]);
    assert_eq!(ids.len(), 2, "{ids:?}");
}
