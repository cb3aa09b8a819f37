//! What a namespace translates is told, although the recorder itself may not read it.

use super::made::{Recorder, batches, can_record};
use super::net::Net;
use afterpath_formats::table::nat;
use std::process::Command;

/// Answers one connection, and keeps it for a while.
const SERVER: &str = "
import socket, sys
server = socket.create_server(('10.77.0.2', 9998))
print('ready', flush=True)
connection, _ = server.accept()
connection.sendall(connection.recv(100))
connection.recv(100)
";
/// Asks at the port that is redirected.
const CLIENT: &str = "
import socket, time
connection = socket.create_connection(('10.77.0.2', 9999), 5)
connection.sendall(b'ping')
assert connection.recv(100) == b'ping'
time.sleep(2.2)
";

#[test]
fn translated_connections_of_a_namespace_are_told() {
    if !can_record("counters", "translations") || !can_record("packets", "translations") {
        return;
    }
    let net = Net::new("nat");
    let end = &net.names[1];
    let rule = "-t nat -A PREROUTING -p tcp --dport 9999 -j REDIRECT --to-ports 9998";
    let set = Command::new("ip")
        .args(["netns", "exec", end, "iptables", "-w"])
        .args(rule.split(' '))
        .output()
        .expect("ip starts");
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let recorder = Recorder::start(&["--probes", "counters", "--netns", end]);
    let mut server = Command::new("ip")
        .args(["netns", "exec", end, "python3", "-c", SERVER])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("ip starts");
    let mut line = String::new();
    let out = server.stdout.take().expect("it was piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).expect("a line");
    net.python(0, CLIENT);
    assert!(server.wait().expect("it ends").success());
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), [], "{}", recorded.said);
    let rows: Vec<_> = batches(&recorded.path, &nat::TABLE).iter().flat_map(nat::rows).collect();
    let seen = rows.iter().find(|row| row.original.1.port() == 9999).expect("a translation");
    assert_eq!(seen.original.1.to_string(), "10.77.0.2:9999");
    assert_eq!(seen.reply.0.to_string(), "10.77.0.2:9998");
}
