//! Credentials in gRPC metadata, as HPACK carries them: Huffman-coded, sent once as a literal and then by index, between Node and
//! nginx. With default settings no part of one is written down; a raw recording has them all.

use super::made::{Recorded, Recorder, batches, can_record};
use afterpath_formats::table::{packets, socket_events};
use arrow::array::AsArray;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Of characters whose Huffman codes are short and known: see [`huffman`].
const SECRETS: [&str; 3] =
    ["oasis20tea1caecot2socia0toes", "sio01ttace22oiesa0c1tsotaeic", "ttoo11ssaa22ccee00iitoasecs"];
/// What is no credential.
const METHOD: &str = "/shop.Cart/Add";

/// RFC 7541 appendix B, the ten characters of five bits.
fn huffman(text: &str) -> Vec<u8> {
    let bits = text.chars().flat_map(|c| {
        let code = "012aceiost".find(c).expect("a character of five bits");
        (0..5).rev().map(move |bit| code >> bit & 1)
    });
    let bits: Vec<usize> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |n, bit| n << 1 | *bit as u8)).collect()
}

/// nginx that speaks HTTP/2 in the clear; ended when dropped.
struct Server {
    _folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
        let at = folder.path().display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|name| format!("{name}_temp_path {at}/{name};"))
            .collect();
        let config = format!(
            "worker_processes 1; daemon off; pid {at}/pid; error_log {at}/errors; events {{}}\n\
             http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port} http2;\n\
             location / {{ return 200 \"well\\n\"; }} }} }}\n"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).expect("written");
        let child = Command::new("nginx")
            .arg("-c")
            .arg(path)
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let server = Server { _folder: folder, child, port };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nginx did not open its port");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// Two calls on one connection: literals, then what the table remembers.
    fn call(&self) {
        let [bearer, key, cookie] = SECRETS;
        let program = format!(
            "const session = require('http2').connect('http://127.0.0.1:{}');\n\
             const call = then => {{ const stream = session.request({{':method': 'POST', ':path': '{METHOD}',\n\
               'content-type': 'application/grpc', te: 'trailers', authorization: 'Bearer {bearer}',\n\
               'x-api-key': '{key}', cookie: '{cookie}'}});\n\
               stream.resume(); stream.on('end', then); stream.end(); }};\n\
             call(() => call(() => session.close()));",
            self.port
        );
        let node = Command::new("node").args(["-e", &program]).status();
        assert!(node.expect("node starts").success());
    }
}

/// All payload that was kept.
fn kept(recorded: &Recorded) -> Vec<u8> {
    let mut all = Vec::new();
    for (table, column) in [(&packets::TABLE, "frame"), (&socket_events::TABLE, "bytes")] {
        for batch in batches(&recorded.path, table) {
            let bytes = batch.column_by_name(column).expect("a column").as_binary::<i32>().clone();
            bytes.iter().flatten().for_each(|bytes| all.extend_from_slice(bytes));
        }
    }
    all
}

/// How many parts of four bytes of each secret's codes are anywhere.
fn found(all: &[u8]) -> Vec<usize> {
    let parts = SECRETS.map(|secret| {
        let plain: Vec<Vec<u8>> = secret.as_bytes().windows(6).map(<[u8]>::to_vec).collect();
        let coded: Vec<Vec<u8>> = huffman(secret).windows(6).map(<[u8]>::to_vec).collect();
        [plain, coded].concat()
    });
    let n = |parts: &Vec<Vec<u8>>| {
        all.windows(6).filter(|window| parts.iter().any(|part| part == window)).count()
    };
    parts.iter().map(n).collect()
}

#[test]
fn no_credential_of_grpc_metadata_is_recorded_unless_asked_for() {
    if !can_record("sockets", "credentials in HPACK") || !can_record("packets", "the same") {
        return;
    }
    let server = Server::start();
    let port = server.port.to_string();
    let record = |payload: &str| {
        let recorder = Recorder::start(&[
            "--probes",
            "sockets,packets",
            "--payload",
            payload,
            "--port",
            &port,
        ]);
        server.call();
        kept(&recorder.stop())
    };
    let raw = record("raw");
    assert!(found(&raw).iter().all(|n| *n > 0), "{:?}", found(&raw));
    for mode in ["masked", "heads"] {
        let masked = record(mode);
        assert_eq!(found(&masked), [0; 3], "{mode}");
        // The rest is there, so that nothing found is no accident.
        let preface = b"PRI * HTTP/2.0";
        assert!(masked.windows(preface.len()).any(|window| window == preface), "{mode}");
    }
}
