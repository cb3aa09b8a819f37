//! One frame per layer and combination, with what is in it. TShark 4.0.17 agreed on every line (innermost addresses,
//! ports, protocol, TTL, sequence, flags, options, fragments, payload bytes, wrapper ids, directions); where it shows
//! less or more, a comment says so.

use crate::build::*;
use afterpath_formats::frame::{Headers, LinkType, Transport, Wrapper, decode};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const IPV6: u16 = 0x86dd;
const TIMESTAMPS: [u8; 12] = [1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9];
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 7, 0, 0, 0, 0, 1, 3, 3, 7];

/// The headers in one line.
fn line(headers: &Headers) -> String {
    let mut line = String::new();
    for wrapper in headers.wrappers.iter().flatten() {
        let _ = match wrapper {
            Wrapper::Vlan(id) => write!(line, "vlan {id} | "),
            Wrapper::Vxlan(id) => write!(line, "vxlan {id} | "),
            Wrapper::Gre(Some(key)) => write!(line, "gre {key} | "),
            Wrapper::Gre(None) => write!(line, "gre | "),
            Wrapper::Geneve(id) => write!(line, "geneve {id} | "),
            Wrapper::IpInIp => write!(line, "ip | "),
        };
    }
    if let Some(direction) = headers.direction {
        let _ = write!(line, "{direction:?} ");
    }
    if let Some(index) = headers.interface_index {
        let _ = write!(line, "if {index} ");
    }
    let Some(network) = headers.network else { return line + "no ip" };
    let address = |bytes: [u8; 16]| match (network.family, bytes) {
        (4, [a, b, c, d, ..]) => Ipv4Addr::new(a, b, c, d).to_string(),
        _ => Ipv6Addr::from(bytes).to_string(),
    };
    let (source, destination) = (address(network.source), address(network.destination));
    let _ = write!(line, "{source} > {destination} proto {}", network.protocol);
    let _ = write!(line, " ttl {}", network.ttl);
    if let Some(id) = network.id {
        let _ = write!(line, " id {id:#x}");
    }
    if let Some(fragment) = network.fragment {
        let _ = write!(line, " at {} more {}", fragment.offset, fragment.more);
    }
    match headers.transport {
        Some(Transport::Tcp(tcp)) => {
            let (from, to) = (tcp.source_port, tcp.destination_port);
            let _ =
                write!(line, " tcp {from} > {to} seq {} ack {}", tcp.sequence, tcp.acknowledgment);
            let _ = write!(line, " flags {:#04x} win {}", tcp.flags, tcp.window);
            for (name, value) in [
                ("ts", tcp.timestamp_value),
                ("echo", tcp.timestamp_echo),
                ("scale", tcp.window_scale.map(u32::from)),
                ("mss", tcp.mss.map(u32::from)),
            ] {
                if let Some(value) = value {
                    let _ = write!(line, " {name} {value}");
                }
            }
        }
        Some(Transport::Udp { source_port, destination_port }) => {
            let _ = write!(line, " udp {source_port} > {destination_port}");
        }
        None => {}
    }
    line + &format!(" payload {}+{}", headers.payload_offset, headers.payload_length)
}

fn check(link: LinkType, frame: &[u8], expected: &str) {
    let headers = decode(link, frame, frame.len() as u32);
    assert_eq!(line(&headers), expected);
    assert!(headers.payload(frame).len() <= headers.payload_length as usize);
}

fn check_ethernet(kind: u16, content: &[u8], expected: &str) {
    check(LinkType::Ethernet, &ethernet(kind, content), expected);
}

const V4_TCP: &str = "10.0.0.1 > 10.0.0.2 proto 6 ttl 64 id 0x1234 \
    tcp 40000 > 80 seq 1000 ack 2000 flags 0x18 win 501";
const V6_TCP: &str =
    "fd00::1 > fd00::2 proto 6 ttl 63 tcp 40000 > 80 seq 1000 ack 2000 flags 0x18 win 501";

fn v4_tcp(payload: &[u8]) -> Vec<u8> {
    ipv4(6, &tcp(&[], payload))
}

fn v6_tcp(payload: &[u8]) -> Vec<u8> {
    ipv6(6, &tcp(&[], payload))
}

#[test]
fn plain() {
    check_ethernet(IPV4, &v4_tcp(b"GET /"), &format!("{V4_TCP} payload 54+5"));
    check_ethernet(IPV6, &v6_tcp(b"GET /"), &format!("{V6_TCP} payload 74+5"));
    // Padding is no payload.
    check_ethernet(IPV4, &v4_tcp(b""), &format!("{V4_TCP} payload 54+0"));
    let udp = ipv4(17, &udp(53, b"query"));
    let expected = "10.0.0.1 > 10.0.0.2 proto 17 ttl 64 id 0x1234 udp 40001 > 53 payload 42+5";
    check_ethernet(IPV4, &udp, expected);
    let icmp = ipv4(1, &[8, 0, 0, 0, 0, 1, 0, 1]);
    check_ethernet(IPV4, &icmp, "10.0.0.1 > 10.0.0.2 proto 1 ttl 64 id 0x1234 payload 34+8");
    check_ethernet(0x0806, &[0; 28], "no ip");
}

#[test]
fn options() {
    let timestamps = ipv4(6, &tcp(&TIMESTAMPS, b"x"));
    check_ethernet(IPV4, &timestamps, &format!("{V4_TCP} ts 7 echo 9 payload 66+1"));
    let syn = ipv4(6, &tcp(&SYN_OPTIONS, b""));
    let expected = format!("{V4_TCP} ts 7 echo 0 scale 7 mss 1460 payload 74+0");
    check_ethernet(IPV4, &syn, &expected);
    let router_alert = ipv4_with(6, 0, &[0x94, 4, 0, 0], &tcp(&[], b"xy"));
    check_ethernet(IPV4, &router_alert, &format!("{V4_TCP} payload 58+2"));
}

#[test]
fn vlans() {
    let one = vlan(5, IPV4, &v4_tcp(b"abc"));
    check_ethernet(0x8100, &one, &format!("vlan 5 | {V4_TCP} payload 58+3"));
    let two = vlan(100, 0x8100, &vlan(5, IPV6, &v6_tcp(b"abc")));
    check_ethernet(0x88a8, &two, &format!("vlan 100 | vlan 5 | {V6_TCP} payload 82+3"));
    check_ethernet(0x8100, &vlan(5, 0x0806, &[0; 28]), "vlan 5 | no ip");
}

#[test]
fn other_links() {
    let v4 = v4_tcp(b"abc");
    let v6 = v6_tcp(b"abc");
    check(LinkType::RawIp, &v4, &format!("{V4_TCP} payload 40+3"));
    check(LinkType::RawIp, &v6, &format!("{V6_TCP} payload 60+3"));
    check(LinkType::LinuxSll, &sll(0, IPV4, &v4), &format!("Inbound {V4_TCP} payload 56+3"));
    check(LinkType::LinuxSll, &sll(4, IPV6, &v6), &format!("Outbound {V6_TCP} payload 76+3"));
    check(LinkType::LinuxSll, &sll(3, IPV4, &v4), &format!("{V4_TCP} payload 56+3"));
    let v2 = sll2(4, 7, IPV4, &v4);
    check(LinkType::LinuxSll2, &v2, &format!("Outbound if 7 {V4_TCP} payload 60+3"));
    let v2 = sll2(0, 7, 0x8100, &vlan(9, IPV4, &v4));
    check(LinkType::LinuxSll2, &v2, &format!("vlan 9 | Inbound if 7 {V4_TCP} payload 64+3"));
    check(LinkType::Null, &[&[2, 0, 0, 0], &v4[..]].concat(), &format!("{V4_TCP} payload 44+3"));
    check(LinkType::Null, &[&[0, 0, 0, 30], &v6[..]].concat(), &format!("{V6_TCP} payload 64+3"));
    check(LinkType::Loop, &[&[0, 0, 0, 2], &v4[..]].concat(), &format!("{V4_TCP} payload 44+3"));
    check(LinkType::Other(147), &v4, "no ip");
}

#[test]
fn fragments() {
    let first = ipv4_with(17, 0x2000, &[], &udp(53, &[0; 100])[..64]);
    let expected = "10.0.0.1 > 10.0.0.2 proto 17 ttl 64 id 0x1234 at 0 more true";
    check_ethernet(IPV4, &first, &format!("{expected} udp 40001 > 53 payload 42+56"));
    let later = ipv4_with(17, 0x0008, &[], &[9; 44]);
    let expected = "10.0.0.1 > 10.0.0.2 proto 17 ttl 64 id 0x1234 at 64 more false";
    check_ethernet(IPV4, &later, &format!("{expected} payload 34+44"));
    let first = ipv6(44, &fragment(17, 1, &udp(53, &[0; 100])[..64]));
    let expected = "fd00::1 > fd00::2 proto 17 ttl 63 id 0xabcd at 0 more true";
    check_ethernet(IPV6, &first, &format!("{expected} udp 40001 > 53 payload 70+56"));
    let later = ipv6(44, &fragment(17, 64, &[9; 44]));
    let expected = "fd00::1 > fd00::2 proto 17 ttl 63 id 0xabcd at 64 more false";
    check_ethernet(IPV6, &later, &format!("{expected} payload 62+44"));
    // An atomic fragment (RFC 6946) is whole.
    let atomic = ipv6(44, &fragment(17, 0, &udp(53, b"x")));
    let expected = "fd00::1 > fd00::2 proto 17 ttl 63 id 0xabcd udp 40001 > 53 payload 70+1";
    check_ethernet(IPV6, &atomic, expected);
}

#[test]
fn extension_headers() {
    let segment = tcp(&[], b"abc");
    for (first, content, offset) in [
        (0, extension(6, 0, &segment), 82),
        (60, extension(6, 2, &segment), 98),
        (43, routing(6, &segment), 98),
        (51, authentication(6, &segment), 98),
        (0, extension(60, 0, &extension(43, 1, &routing(51, &authentication(6, &segment)))), 146),
    ] {
        check_ethernet(IPV6, &ipv6(first, &content), &format!("{V6_TCP} payload {offset}+3"));
    }
    // TShark does not look behind a mobility header (RFC 6275, 6.1.1 leaves that to the future).
    check_ethernet(IPV6, &ipv6(135, &extension(6, 0, &segment)), &format!("{V6_TCP} payload 82+3"));
    let v4 = ipv4(51, &authentication(6, &segment));
    check_ethernet(IPV4, &v4, &format!("{V4_TCP} payload 78+3"));
    let nothing = ipv6(59, b"");
    check_ethernet(IPV6, &nothing, "fd00::1 > fd00::2 proto 59 ttl 63 payload 54+0");
}

#[test]
fn tunnels() {
    let inner = ethernet(IPV4, &v4_tcp(b"abcdefg"));
    let over_udp = |port, content: &[u8]| ipv4(17, &udp(port, content));
    let vxlan_frame = over_udp(4789, &vxlan(42, &inner));
    check_ethernet(IPV4, &vxlan_frame, &format!("vxlan 42 | {V4_TCP} payload 104+7"));
    // TShark knows 8472 by `-d udp.port==8472,vxlan`.
    let vxlan_frame = over_udp(8472, &vxlan(42, &inner));
    check_ethernet(IPV4, &vxlan_frame, &format!("vxlan 42 | {V4_TCP} payload 104+7"));
    let geneve_frame = over_udp(6081, &geneve(43, 0, 0x6558, &inner));
    check_ethernet(IPV4, &geneve_frame, &format!("geneve 43 | {V4_TCP} payload 104+7"));
    let geneve_frame = over_udp(6081, &geneve(43, 2, IPV6, &v6_tcp(b"abc")));
    check_ethernet(IPV4, &geneve_frame, &format!("geneve 43 | {V6_TCP} payload 126+3"));
    for (flags, key, length) in
        [(0, "", 4), (0x20, " 7777", 8), (0x10, "", 8), (0x80, "", 8), (0xb0, " 7777", 16)]
    {
        let frame = ipv4(47, &gre(flags, IPV4, &v4_tcp(b"abc")));
        let expected = format!("gre{key} | {V4_TCP} payload {}+3", 34 + length + 40);
        check_ethernet(IPV4, &frame, &expected);
    }
    let bridged = ipv6(47, &gre(0x20, 0x6558, &inner));
    check_ethernet(IPV6, &bridged, &format!("gre 7777 | {V4_TCP} payload 116+7"));
    let erspan = [&[0x10, 5, 0, 9, 0, 0, 0, 0], &inner[..]].concat();
    let erspan = ipv4(47, &gre(0x10, 0x88be, &erspan));
    check_ethernet(IPV4, &erspan, &format!("gre | {V4_TCP} payload 104+7"));
    let in_ip = ipv4(4, &v4_tcp(b"abc"));
    check_ethernet(IPV4, &in_ip, &format!("ip | {V4_TCP} payload 74+3"));
    let in_ip = ipv4(41, &v6_tcp(b"abc"));
    check_ethernet(IPV4, &in_ip, &format!("ip | {V6_TCP} payload 94+3"));
    let in_ip = ipv6(4, &v4_tcp(b"abc"));
    check_ethernet(IPV6, &in_ip, &format!("ip | {V4_TCP} payload 94+3"));
}

#[test]
fn nested() {
    let inner = ethernet(0x8100, &vlan(5, IPV4, &v4_tcp(b"abc")));
    let overlay = ipv4(17, &udp(4789, &vxlan(42, &inner)));
    let frame = vlan(100, IPV4, &overlay);
    let expected = format!("vlan 100 | vxlan 42 | vlan 5 | {V4_TCP} payload 112+3");
    check_ethernet(0x8100, &frame, &expected);
    // Four wrappers are peeled; the fifth stays, and what is outside it is shown. TShark goes on.
    let deep = (0..4).fold(v4_tcp(b"abc"), |packet, _| ipv4(4, &packet));
    check_ethernet(IPV4, &deep, &format!("ip | ip | ip | ip | {V4_TCP} payload 134+3"));
    let deeper = ipv4(4, &deep);
    let expected = "ip | ip | ip | ip | \
        10.0.0.1 > 10.0.0.2 proto 4 ttl 64 id 0x1234 payload 114+43";
    check_ethernet(IPV4, &deeper, expected);
    // A tunnel without IP inside is left as it is. TShark shows its identifier.
    let arp = ipv4(17, &udp(4789, &vxlan(42, &ethernet(0x0806, &[0; 46]))));
    let expected = "10.0.0.1 > 10.0.0.2 proto 17 ttl 64 id 0x1234 udp 40001 > 4789 payload 42+68";
    check_ethernet(IPV4, &arp, expected);
}

#[test]
fn lengths_beyond_16_bits() {
    let mut frame = ethernet(IPV4, &v4_tcp(&[7; 100]));
    frame[16..18].fill(0);
    let headers = decode(LinkType::Ethernet, &frame, 150_054);
    assert_eq!((headers.payload_offset, headers.payload_length), (54, 150_000));
    assert_eq!(headers.payload(&frame).len(), 100);
    let mut frame = ethernet(IPV6, &v6_tcp(&[7; 100]));
    frame[18..20].fill(0);
    let headers = decode(LinkType::Ethernet, &frame, 150_074);
    assert_eq!((headers.payload_offset, headers.payload_length), (74, 150_000));
    // No such frame exists: the captured bytes count.
    let headers = decode(LinkType::Ethernet, &frame, u32::MAX);
    assert_eq!(headers.payload_length, 100);
}

#[test]
fn link_type_numbers_survive() {
    for number in [0, 1, 101, 108, 113, 147, 276, u16::MAX] {
        assert_eq!(LinkType::from_number(number).number(), number);
    }
}
