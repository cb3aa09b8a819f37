//! Filter expressions: the recorder keeps the frames that tcpdump keeps, on the same cable at the same time.

use super::made::{Recorder, batches, can_record};
use super::net::{Net, ip};
use afterpath_formats::table::packets;
use arrow::array::AsArray;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Both families, three transports, several ports and sizes, fragments.
const TRAFFIC: &str = "
import socket, struct, time
to4, to6 = '10.77.0.2', 'fd77::2'
u4 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for port in (53, 80, 1500, 1999, 2001, 8080):
    u4.sendto(b'x' * (port % 300), (to4, port))
    u6.sendto(b'y' * (port % 300), (to6, port))
u4.sendto(b'z' * 4000, (to4, 1500))
for family, to in ((socket.AF_INET, to4), (socket.AF_INET6, to6)):
    for port in (80, 443):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.settimeout(0.3)
        try: s.connect((to, port))
        except OSError: pass
        s.close()
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(bytes.fromhex('0800f7fd00010001'), (to4, 0))
raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
raw.sendto(bytes.fromhex('8000000000010001'), (to6, 0, 0, 0))
time.sleep(0.1)
";

const EXPRESSIONS: [&str; 11] = [
    "port 80",
    "tcp port 80 or tcp port 443",
    "ip6 and udp and not port 53",
    "udp portrange 1500-2000",
    "src host 10.77.0.2 or dst host fd77::2",
    "net 10.77.0.0/24 and icmp",
    "not ip6 and not arp",
    "greater 200",
    "tcp or icmp6",
    "ip proto 17 and host 10.77.0.1",
    "dst net fd77::/64 and dst port 443",
];

/// The frames of a classic capture.
fn frames(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).expect("readable");
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while rest.len() >= 16 {
        let length = u32::from_ne_bytes(rest[8..12].try_into().expect("four bytes")) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    frames.sort();
    frames
}

/// Both ends get an address of IPv6, and nothing to say of it: what a kernel sends by itself, at times of its own, may come between
/// the beginning of one of the two recorders and that of the other.
fn quiet_ipv6(net: &Net) {
    for (end, name) in net.names.iter().enumerate() {
        let (own, other) = (end + 1, 2 - end);
        // No link-local address: what speaks of one is gone.
        ip(&format!("-n {name} link set veth0 addrgenmode none"));
        ip(&format!("-n {name} -6 address flush dev veth0"));
        ip(&format!("-n {name} link set veth0 address 02:00:00:00:00:0{own}"));
        for kind in ["router-solicitation", "143"] {
            ip(&format!(
                "netns exec {name} ip6tables -A OUTPUT -p icmpv6 --icmpv6-type {kind} -j DROP"
            ));
        }
        ip(&format!("-n {name} address add fd77::{own}/64 dev veth0 nodad"));
        let address = format!("lladdr 02:00:00:00:00:0{other} dev veth0 nud permanent");
        ip(&format!("-n {name} neighbour replace fd77::{other} {address}"));
        ip(&format!("-n {name} neighbour replace 10.77.0.{other} {address}"));
    }
}

#[test]
fn an_expression_keeps_what_tcpdump_keeps() {
    if !can_record("packets", "filter expressions") {
        return;
    }
    let net = Net::new("expr");
    quiet_ipv6(&net);
    let folder = tempfile::tempdir().expect("a folder");
    for expression in EXPRESSIONS {
        let capture = folder.path().join("x.pcap");
        let mut tcpdump = Command::new("ip")
            .args(["netns", "exec", &net.names[1], "tcpdump", "-i", "veth0", "-U", "-s", "1024"])
            .args(["--immediate-mode", "-Z", "root", "-w"])
            .arg(&capture)
            .arg(expression)
            .stderr(Stdio::null())
            .spawn()
            .expect("tcpdump starts");
        let begun = Instant::now();
        while std::fs::metadata(&capture).map_or(0, |file| file.len()) < 24 {
            assert!(begun.elapsed() < Duration::from_secs(10), "tcpdump does not begin");
            std::thread::sleep(Duration::from_millis(10));
        }
        let recorder = Recorder::start(&[
            "--probes",
            "packets",
            "--payload",
            "raw",
            "--netns",
            &net.names[1],
            "--filter",
            expression,
        ]);
        net.python(0, TRAFFIC);
        let recorded = recorder.stop();
        let stopped = Command::new("kill").args(["-INT", &tcpdump.id().to_string()]).status();
        assert!(stopped.expect("kill").success());
        tcpdump.wait().expect("it ends");
        let mut kept = Vec::new();
        for batch in batches(&recorded.path, &packets::TABLE) {
            let column = batch.column_by_name("frame").expect("a column").as_binary::<i32>();
            kept.extend(column.iter().flatten().map(<[u8]>::to_vec));
        }
        kept.sort();
        let expected = frames(&capture);
        assert!(!expected.is_empty(), "{expression}: nothing to compare");
        assert_eq!(kept.len(), expected.len(), "{expression}");
        assert_eq!(kept, expected, "{expression}");
        std::fs::remove_file(&capture).expect("removed");
    }
}
