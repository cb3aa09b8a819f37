//! Ways of the kernel that look like something else on the wire or at the socket, made by real programs on loopback: MPTCP and its
//! fallback, data with the SYN, a redirected port. Each request must be one call from process to process.

use afterpath::analysis::Analysis;
use afterpath::call::Call;
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::score::place_names;
use afterpath_tests::tool::{can_record, own, unpacked, usable};
use std::process::{Command, Stdio};

/// A namespace of this test's own; gone when dropped.
struct Namespace(&'static str);

impl Namespace {
    fn new(name: &'static str) -> Namespace {
        ip(&["netns", "add", name]);
        let made = Namespace(name);
        ip(&["-n", name, "link", "set", "lo", "up"]);
        made
    }

    fn run(&self, command: &[&str]) {
        ip(&[&["netns", "exec", self.0], command].concat());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", self.0]).status();
    }
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments:?}: {said}");
}

/// A server that answers each connection once, and clients of all kinds, one request each. Clients wait a moment before they close.
const PROGRAM: &str = r#"
import os, socket, threading, time
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
MPTCP = 262
def serve(listener):
    while True:
        connection, _ = listener.accept()
        connection.recv(1000)
        connection.send(ANSWER)
        connection.recv(1000)
        connection.close()
def listen(port, protocol=0, fast=False):
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    if fast:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
    listener.listen()
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
def ask(name, port, protocol=0, fast=False):
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)
    request = b"GET /" + name.encode() + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    if fast:
        client.sendto(request, socket.MSG_FASTOPEN, ("127.0.0.1", port))
    else:
        client.connect(("127.0.0.1", port))
        client.send(request)
    assert client.recv(1000) == ANSWER
    client.close()
listen(9001, MPTCP)
listen(9002, fast=True)
listen(9998)
if not os.fork():
    ask("mptcp", 9001, MPTCP)
    ask("fallback-of-the-server", 9001)
    ask("fallback-of-the-client", 9998, MPTCP)
    # The first asks for a cookie, the second sends its data with the SYN.
    ask("fast-open-1", 9002, fast=True)
    ask("fast-open-2", 9002, fast=True)
    ask("redirected", 9999)
    os._exit(0)
_, status = os.wait()
time.sleep(0.2)
os._exit(os.waitstatus_to_exitcode(status))
"#;

fn can_test() -> bool {
    let what = "traps of the kernel";
    can_record(&["sockets", "packets"], what)
        && ["ip", "iptables", "python3"].iter().all(|name| usable(name, what))
}

/// Records while a program runs in the namespace.
fn recorded(namespace: &Namespace, program: &[&str]) -> Analysis {
    let folder = tempfile::tempdir().expect("a folder");
    let bundle = folder.path().join("x.afterpath");
    let output = Command::new(own("afterpath-record"))
        .args(["run", "--netns", namespace.0, "--output"])
        .arg(&bundle)
        .args(["--", "ip", "netns", "exec", namespace.0])
        .args(program)
        .stdout(Stdio::null())
        .output()
        .expect("the recorder starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bundles = Bundles::open(&[bundle]).expect("it opens");
    analyze(&bundles, &Config::default())
}

#[test]
fn each_request_is_one_call_from_process_to_process() {
    if !can_test() {
        return;
    }
    let namespace = Namespace::new("apt-traps");
    namespace.run(&["sysctl", "-q", "net.ipv4.tcp_fastopen=3"]);
    let redirect = "iptables -w -t nat -A OUTPUT -p tcp --dport 9999 -j REDIRECT --to-ports 9998";
    namespace.run(&redirect.split(' ').collect::<Vec<_>>());
    let analysis = recorded(&namespace, &["python3", "-c", PROGRAM]);
    for (name, expected) in [
        ("mptcp", &["python3", "lo", "python3"][..]),
        ("fallback-of-the-server", &["python3", "lo", "python3"]),
        ("fallback-of-the-client", &["python3", "lo", "python3"]),
        ("fast-open-1", &["python3", "lo", "python3"]),
        ("fast-open-2", &["python3", "lo", "python3"]),
        // On loopback each direction shows another port.
        ("redirected", &["python3", "lo", "python3"]),
    ] {
        let resource = format!("/{name}");
        let of_processes = |call: &&Call| {
            let ends = [call.spans.first(), call.spans.last()];
            let process = |span: &afterpath::call::SpanAt| {
                analysis.points[span.point as usize].process.is_some()
            };
            call.resource == resource && ends.iter().flatten().any(|span| process(span))
        };
        let calls: Vec<&Call> = analysis.calls.iter().filter(of_processes).collect();
        let paths: Vec<_> = calls.iter().map(|call| place_names(&analysis, call)).collect();
        assert_eq!(paths, [expected.to_vec()], "{name}: {:?}", analysis.losses);
        assert_eq!(calls[0].status, "200", "{name}");
    }
    let redirected: Vec<&Call> =
        analysis.calls.iter().filter(|call| call.resource == "/redirected").collect();
    assert_eq!(redirected.len(), 1, "neither half is left: {redirected:?}");
}

/// A subscriber that waits for one message, and who publishes it.
const PUBLISHED: &str = "
redis-server --port 7379 --save '' --loglevel warning &
until redis-cli -p 7379 ping >/dev/null 2>&1; do sleep 0.05; done
(redis-cli -p 7379 subscribe news & echo $! >&3; wait) 3>$0 &
until redis-cli -p 7379 pubsub numsub news | grep -q 1; do sleep 0.05; done
redis-cli -p 7379 publish news hello
sleep 0.3
kill $(cat $0)
redis-cli -p 7379 shutdown nosave
wait
";

#[test]
fn what_a_server_publishes_leads_from_it_to_its_client() {
    let what = "published messages";
    if !can_test() || !["redis-server", "redis-cli"].iter().all(|name| usable(name, what)) {
        return;
    }
    let namespace = Namespace::new("apt-publish");
    let folder = tempfile::tempdir().expect("a folder");
    let id = folder.path().join("id");
    let analysis = recorded(&namespace, &["sh", "-c", PUBLISHED, id.to_str().expect("text")]);
    let is_it = |call: &&Call| call.request_type == "MESSAGE" && call.resource == "news";
    let calls: Vec<&Call> = analysis.calls.iter().filter(is_it).collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let call = calls[0];
    assert_eq!(place_names(&analysis, call), ["redis-server", "lo", "redis-cli"]);
    assert_eq!((call.client.port, call.client.process.is_some()), (7379, true), "{call:?}");
    let times: Vec<_> = call.spans.iter().map(|span| span.times.request_first).collect();
    assert!(times.is_sorted(), "{times:?}");
}

/// A service of NATS and a client that asks it three times, programs of their own; the argument is where the client library lies.
const ASKED: &str = r#"
nats-server -a 127.0.0.1 -p 7422 >/dev/null 2>&1 & bus=$!
export PYTHONPATH=$0
cat >$1/service.py <<'END'
import asyncio, nats
async def serve():
    client = await nats.connect("nats://127.0.0.1:7422", allow_reconnect=False)
    async def answer(message):
        await asyncio.sleep(0.02)
        await message.respond(b"well")
    await client.subscribe("greet.*", cb=answer)
    await client.flush()
    print("ready", flush=True)
    await asyncio.sleep(30)
asyncio.run(serve())
END
cat >$1/client.py <<'END'
import asyncio, nats
async def ask():
    client = await nats.connect("nats://127.0.0.1:7422", allow_reconnect=False)
    for number in range(3):
        await client.request(f"greet.{number}", b"me", timeout=5)
    await client.close()
asyncio.run(ask())
END
until ss -Hltn 'sport = :7422' | grep -q .; do sleep 0.05; done
python3 $1/service.py >$1/said & service=$!
until grep -q ready $1/said; do sleep 0.05; done
python3 $1/client.py
status=$?
kill $service $bus
wait
exit $status
"#;

#[test]
fn a_service_behind_a_bus_is_asked_by_the_bus() {
    let what = "requests over NATS";
    let Some(library) = unpacked("nats/__init__.py", what) else { return };
    if !can_test() || !usable("nats-server", what) {
        return;
    }
    let namespace = Namespace::new("apt-bus");
    let folder = tempfile::tempdir().expect("a folder");
    let library = library.ancestors().nth(2).expect("it lies two levels down").to_path_buf();
    let [library, folder] = [&library, &folder.path().to_path_buf()]
        .map(|path| path.to_str().expect("text").to_string());
    let analysis = recorded(&namespace, &["bash", "-c", ASKED, &library, &folder]);
    for number in 0..3 {
        let subject = format!("greet.{number}");
        let of_subject = analysis.calls.iter().filter(|call| call.resource == subject);
        let mut calls: Vec<(&str, Vec<String>, &str)> = of_subject
            .map(|call| {
                let path = place_names(&analysis, call);
                (call.request_type.as_str(), path, call.status.as_str())
            })
            .collect();
        calls.sort();
        let path = |names: [&str; 3]| names.map(str::to_string).to_vec();
        let expected = [
            ("MSG", path(["nats-server", "lo", "python3"]), "OK"),
            ("PUB", path(["python3", "lo", "nats-server"]), "OK"),
        ];
        assert_eq!(calls, expected, "{:?}", analysis.losses);
    }
    let durations = |what: &str| -> Vec<i64> {
        let calls = analysis.calls.iter().filter(|call| call.request_type == what);
        calls.filter_map(|call| call.times().duration_ns()).collect()
    };
    assert!(durations("MSG").iter().all(|ns| *ns >= 20_000_000), "the service took its time");
    assert!(durations("PUB").iter().all(|ns| *ns >= 20_000_000), "and so it did for who asked");
}
