//! What default settings never write down: planted credentials of every kind, whole or cut into many writes. The same search on
//! a raw recording finds all of them, so that it can't pass for finding nothing.

use super::made::{Recorded, Recorder, batches, can_record};
use afterpath_formats::table::{Table, packets, processes, socket_events, sockets, threads};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;

/// Where each is planted: what is sent before it, and behind it.
const PLANTED: &[(&str, &str, &str)] = &[
    ("Zk4qW7vQx1", "GET /a HTTP/1.1\r\nHost: h\r\nAuthorization: Basic ", "\r\n\r\n"),
    ("Yj3pV8uRz2", "GET /b HTTP/1.1\r\nHost: h\r\nauthorization: Bearer ", "\r\nX: y\r\n\r\n"),
    ("Xh2nU9tTk3", "GET /c HTTP/1.1\r\nHost: h\r\nCookie: a=1; sid=", "\r\n\r\n"),
    ("Wg1mT5sWb4", "GET /d?x=1&token=", "&y=2 HTTP/1.1\r\nHost: h\r\n\r\n"),
    (
        "Vf9kS4rUd5",
        "POST /e HTTP/1.1\r\nHost: h\r\nContent-Length: 27\r\n\r\n{\"password\": \"",
        "\"}\n",
    ),
    ("Ud8jR3qVf6", "POST /f HTTP/1.1\r\nHost: h\r\nContent-Length: 24\r\n\r\nuser=b&passwd=", ""),
    ("Tc7hQ2pNn7", "*2\r\n$4\r\nAUTH\r\n$10\r\n", "\r\n"),
    ("Sb6gP6mMm8", "GET /g HTTP/1.1\r\nHost: h\r\nX-Api-Key: ", "\r\n\r\n"),
];
/// In a command line.
const ARGUMENT: &str = "Ra5fN1kYz9";

/// Sends everything over loopback, `piece` bytes a write, a connection each.
fn speak(piece: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    for (secret, before, behind) in PLANTED {
        let text = format!("{before}{secret}{behind}");
        let mut client =
            TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
        client.set_nodelay(true).expect("set");
        let (mut server, _) = listener.accept().expect("accepted");
        let n = text.len();
        let reader = thread::spawn(move || server.read_exact(&mut vec![0; n]).expect("read"));
        for chunk in text.as_bytes().chunks(piece) {
            client.write_all(chunk).expect("written");
        }
        reader.join().expect("read");
    }
    let argument = format!("--password={ARGUMENT}");
    let status = Command::new("sh").args(["-c", "true", "sh", &argument]).status();
    assert!(status.expect("started").success());
}

/// All bytes of a table that could hold text.
fn bytes_of(recorded: &Recorded, table: &'static Table) -> Vec<u8> {
    let mut all = Vec::new();
    for batch in batches(&recorded.path, table) {
        for column in batch.columns() {
            for row in 0..column.len() {
                match column.data_type() {
                    DataType::Binary if column.is_valid(row) => {
                        all.extend_from_slice(column.as_binary::<i32>().value(row));
                    }
                    DataType::Utf8 if column.is_valid(row) => {
                        all.extend_from_slice(column.as_string::<i32>().value(row).as_bytes());
                    }
                    _ => {}
                }
                all.push(b'|');
            }
        }
    }
    all
}

/// How many of a secret's parts of five bytes are anywhere, by secret.
fn found(recorded: &Recorded) -> Vec<(&'static str, usize)> {
    let tables = [
        &packets::TABLE,
        &socket_events::TABLE,
        &processes::TABLE,
        &threads::TABLE,
        &sockets::TABLE,
    ];
    let all: Vec<u8> = tables.iter().flat_map(|table| bytes_of(recorded, table)).collect();
    let count = |secret: &'static str| {
        let parts: Vec<&[u8]> = secret.as_bytes().windows(5).collect();
        (secret, all.windows(5).filter(|window| parts.contains(window)).count())
    };
    PLANTED.iter().map(|planted| planted.0).chain([ARGUMENT]).map(count).collect()
}

fn recording(payload: &[&str], piece: usize) -> Recorded {
    let mut arguments = vec!["--probes", "sockets,packets,processes"];
    arguments.extend(payload);
    let recorder = Recorder::start(&arguments);
    speak(piece);
    // Packets are handed over in blocks, a block at most some 20 ms late: stopping drains them.
    recorder.stop()
}

#[test]
fn no_planted_credential_is_recorded_unless_asked_for() {
    if !can_record("sockets", "planted credentials")
        || !can_record("packets", "planted credentials")
    {
        return;
    }
    for piece in [1000, 7] {
        let masked = found(&recording(&[], piece));
        assert!(masked.iter().all(|(_, n)| *n == 0), "pieces of {piece}: {masked:?}");
    }
    let raw = found(&recording(&["--payload", "raw"], 1000));
    assert!(raw.iter().all(|(_, n)| *n > 0), "{raw:?}");
    let none = recording(&["--payload", "none"], 1000);
    assert!(!bytes_of(&none, &packets::TABLE).windows(8).any(|w| w == b"HTTP/1.1"));
    assert!(!bytes_of(&none, &socket_events::TABLE).windows(8).any(|w| w == b"HTTP/1.1"));
    // And what is no credential is there.
    let kept = recording(&[], 1000);
    for table in [&packets::TABLE, &socket_events::TABLE] {
        let bytes = bytes_of(&kept, table);
        for text in [&b"GET /a HTTP/1.1"[..], b"Host: h", b"AUTH", b"/d?x=1&token="] {
            assert!(bytes.windows(text.len()).any(|window| window == text), "{}", table.name);
        }
    }
}
