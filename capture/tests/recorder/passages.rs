//! Packets inside the kernel: each stack point that one passes, and why one was dropped. Never a byte of payload.

use super::made::{Recorded, Recorder, batches, can_record};
use super::net::Net;
use afterpath_formats::table::kernel_path;
use std::process::Command;

const SECRET: &str = "correct-horse-battery";

/// Points and reasons of IPv4 datagrams to `port`, in order of time.
fn passages(recorded: &Recorded, port: u16) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for batch in batches(&recorded.path, &kernel_path::TABLE) {
        for row in kernel_path::rows(&batch) {
            let contains = |needle: &[u8]| row.header.windows(needle.len()).any(|w| w == needle);
            assert!(!contains(&SECRET.as_bytes()[..8]), "payload: {row:?}");
            if row.header.get(22..24) != Some(&port.to_be_bytes()) || row.header[9] != 17 {
                continue;
            }
            assert_eq!(row.length as usize, 28 + SECRET.len(), "{row:?}");
            assert!(row.netns.is_some() && row.header.len() == 28, "{row:?}");
            found.push((row.time_ns, row.point.to_string(), row.drop_reason.map(str::to_string)));
        }
    }
    found.sort();
    found.into_iter().map(|(_, point, reason)| (point, reason)).collect()
}

/// A datagram from one end to the other, where nobody listens.
fn send(net: &Net, port: u16) {
    net.python(
        0,
        &format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.sendto(b'{SECRET}', ('10.77.0.2', {port}))"
        ),
    );
}

#[test]
fn a_drop_names_its_reason() {
    if !can_record("drops", "dropped packets") {
        return;
    }
    let net = Net::new("drop");
    let port = 40_321;
    let recorder = Recorder::start(&["--probes", "drops", "--port", &port.to_string()]);
    send(&net, port);
    let filter = format!("-A INPUT -p udp --dport {port} -j DROP");
    let iptables = Command::new("ip")
        .args(["netns", "exec", &net.names[1], "iptables"])
        .args(filter.split(' '))
        .status();
    assert!(iptables.expect("iptables starts").success());
    send(&net, port);
    let found = passages(&recorder.stop(), port);
    let reasons: Vec<_> = found.iter().map(|(_, reason)| reason.as_deref()).collect();
    assert_eq!(reasons, [Some("NO_SOCKET"), Some("NETFILTER_DROP")], "{found:?}");
    assert!(found[0].0.contains("udp"), "the function that dropped it: {found:?}");
}

#[test]
fn a_packet_is_seen_at_each_point() {
    if !can_record("kernel_path", "points of the network stack") {
        return;
    }
    let net = Net::new("path");
    let port = 40_322;
    let recorder = Recorder::start(&["--probes", "kernel_path"]);
    send(&net, port);
    let found = passages(&recorder.stop(), port);
    let points: Vec<_> = found.iter().map(|(point, _)| point.as_str()).collect();
    assert_eq!(points, ["net_dev_queue", "net_dev_start_xmit", "netif_receive_skb"]);
}
