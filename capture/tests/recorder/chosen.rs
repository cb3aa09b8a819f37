//! Packets of chosen interfaces, and of the namespaces that chosen processes are in. The namespaces are this test's own.

use super::made::{PROGRAM, Recorder, can_record, skip};
use super::net::{Net, ip};
use super::packets::{send, to_port};
use std::process::{Child, Command, Stdio};

/// Says a line, then runs until its standard input ends.
fn waiting(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts")
}

/// A process of one of the namespaces.
fn inside(net: &Net, end: usize) -> Child {
    waiting(Command::new("ip").args(["netns", "exec", &net.names[end], "cat"]))
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().expect("it ends");
}

#[test]
fn chosen_interfaces_are_recorded_late_ones_too() {
    if !can_record("packets", "chosen interfaces") {
        return;
    }
    let net = Net::new("iface");
    let [a, b] = net.names.clone();
    let recorder = Recorder::start(&["--probes", "packets", "--interface", "veth0,late*"]);
    for (late, net) in [("later", 1), ("other", 2)] {
        ip(&format!("-n {a} link add {late} type veth peer name peer{net}"));
        ip(&format!("-n {a} link set {late} up"));
        ip(&format!("-n {a} link set peer{net} up"));
        ip(&format!("-n {a} address add 10.78.{net}.1/24 dev {late}"));
        let neighbour = format!("10.78.{net}.9 lladdr 02:00:00:00:00:09 nud permanent");
        ip(&format!("-n {a} neighbour add {neighbour} dev {late}"));
    }
    // Interfaces are looked at once a second.
    std::thread::sleep(std::time::Duration::from_millis(2200));
    for to in ["10.77.0.2", "127.0.0.1", "10.78.1.9", "10.78.2.9"] {
        net.python(0, &send(to, 7741, 50));
    }
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), []);
    let counts = to_port(&recorded, 7741);
    let place = |name: &str, interface: &str| (name.to_string(), interface.to_string());
    let expected = [(&a, "later"), (&a, "veth0"), (&b, "veth0")];
    let expected = expected.map(|(name, interface)| (place(name, interface), 50));
    assert_eq!(counts, expected.into());
}

#[test]
fn an_interface_that_nobody_has_is_refused() {
    if !can_record("packets", "a wrong interface") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = folder.path().join("x.afterpath");
    let run = Command::new(PROGRAM)
        .args(["run", "--interface", "nosuch0", "--for", "1s", "--output"])
        .arg(&output)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && said.contains("\"nosuch0\""), "{said}");
    assert!(!output.exists(), "nothing is left");
}

#[test]
fn packets_of_chosen_processes_are_those_of_their_namespaces() {
    if !can_record("packets", "the namespaces of processes") {
        return;
    }
    let net = Net::new("ofpid");
    let process = inside(&net, 1);
    // `ip netns exec` becomes its command.
    let id = process.id().to_string();
    while !std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name == "cat\n") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let recorder = Recorder::start(&["--probes", "packets", "--pid", &id]);
    net.python(0, &send("10.77.0.2", 7751, 100));
    let recorded = recorder.stop();
    end(process);
    let counts = to_port(&recorded, 7751);
    let there = (net.names[1].clone(), "veth0".to_string());
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(there, 100)]);
}

/// A cgroup below another; both go with it.
struct Cgroup(std::path::PathBuf);

impl Cgroup {
    fn new() -> Option<Cgroup> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let root =
            roots.iter().find(|root| std::path::Path::new(root).join("cgroup.procs").exists())?;
        let path = std::path::Path::new(root).join(format!("apk-{}/below", std::process::id()));
        std::fs::create_dir_all(&path).ok().map(|()| Cgroup(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let parent = self.0.parent().map(std::path::Path::to_path_buf);
        // A process that just ended may still be counted.
        for folder in [Some(self.0.clone()), parent].into_iter().flatten() {
            let gone = (0..100).any(|_| {
                std::thread::sleep(std::time::Duration::from_millis(5));
                std::fs::remove_dir(&folder).is_ok()
            });
            assert!(gone || std::thread::panicking(), "{} stays", folder.display());
        }
    }
}

/// Waits until it is in the cgroup of its second argument, then talks with itself.
const TALKER: &str = "
import os, socket, sys
open(sys.argv[1] + '/cgroup.procs', 'w').write(str(os.getpid()))
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
client.sendall(sys.argv[2].encode())
server.recv(100)
";

#[test]
fn processes_below_a_chosen_cgroup_are_chosen() {
    if !can_record("sockets", "cgroups below cgroups") {
        return;
    }
    let Some(cgroup) = Cgroup::new() else {
        return skip("cgroups below cgroups", "none can be made here");
    };
    let above = cgroup.0.parent().expect("it has one").to_path_buf();
    let recorder = Recorder::start(&[
        "--probes",
        "sockets",
        "--payload",
        "raw",
        "--cgroup",
        above.to_str().expect("text"),
    ]);
    let root = above.parent().expect("it has one").to_path_buf();
    for (folder, text) in [(&cgroup.0, "below"), (&above, "there"), (&root, "beside")] {
        let status = Command::new("python3").args(["-c", TALKER]).arg(folder).arg(text).status();
        assert!(status.expect("python3 starts").success());
    }
    let recorded = recorder.stop();
    let mut seen = std::collections::BTreeMap::new();
    recorded.each_event(|event| {
        if let Some(bytes) = event.bytes {
            *seen.entry(String::from_utf8_lossy(bytes).into_owned()).or_insert(0) += 1;
        }
    });
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [("below".to_string(), 2), ("there".to_string(), 2)]
    );
}
