//! Frames cut and damaged: nothing panics, every offset stays inside the frame, and a cut frame tells no lie.

use crate::build::*;
use crate::table::{IPV4, IPV6};
use afterpath_formats::frame::{Headers, LinkType, Wrapper, decode};
use proptest::collection::vec;
use proptest::prelude::*;

const LINKS: [LinkType; 7] = [
    LinkType::Ethernet,
    LinkType::RawIp,
    LinkType::LinuxSll,
    LinkType::LinuxSll2,
    LinkType::Null,
    LinkType::Loop,
    LinkType::Other(9),
];

/// A valid frame: transport, then layers as `choices` say, inside out.
pub(crate) fn frame(choices: &[u8], payload: &[u8], with_tunnels: bool) -> Vec<u8> {
    let mut choices = choices.iter().copied();
    let mut choose = |n: u8| choices.next().unwrap_or(0) % n;
    let (mut kind, mut packet) = packet(&mut choose, payload);
    for _ in 0..if with_tunnels { choose(4) } else { 0 } {
        let inner = ethernet(kind, &packet);
        let number = if kind == IPV4 { 4 } else { 41 };
        (kind, packet) = match choose(6) {
            0 => (IPV4, ipv4(17, &udp(4789, &vxlan(42, &inner)))),
            1 => (IPV6, ipv6(17, &udp(6081, &geneve(43, choose(3), 0x6558, &inner)))),
            2 => (IPV4, ipv4(17, &udp(6081, &geneve(43, choose(3), kind, &packet)))),
            3 => (IPV4, ipv4(47, &gre(choose(16) << 4 & 0xb0, kind, &packet))),
            4 => (IPV6, ipv6(47, &gre(0x20, 0x6558, &inner))),
            _ => (IPV4, ipv4(number, &packet)),
        };
    }
    match choose(3) {
        0 => ethernet(kind, &packet),
        1 => ethernet(0x8100, &vlan(5, kind, &packet)),
        _ => ethernet(0x88a8, &vlan(7, 0x8100, &vlan(5, kind, &packet))),
    }
}

fn packet(choose: &mut impl FnMut(u8) -> u8, payload: &[u8]) -> (u16, Vec<u8>) {
    let options = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 9, 1, 1, 1, 0];
    let (protocol, segment) = match choose(3) {
        0 => (17, udp(53, payload)),
        1 => (6, tcp(&options[..usize::from(choose(7)) * 4], payload)),
        _ => (6, tcp(&options[8..20], payload)),
    };
    match choose(6) {
        0 => (IPV4, ipv4(protocol, &segment)),
        1 => (IPV4, ipv4_with(protocol, 0, &[0x94, 4, 0, 0, 1, 1, 1, 0], &segment)),
        2 => (IPV4, ipv4_with(protocol, 0x2000 | u16::from(choose(2)), &[], &segment)),
        3 => (IPV6, ipv6(protocol, &segment)),
        4 => (IPV6, ipv6(0, &extension(43, 1, &routing(protocol, &segment)))),
        _ => {
            let content = fragment(protocol, u16::from(choose(2)), &segment);
            (IPV6, ipv6(60, &extension(44, 0, &content)))
        }
    }
}

fn check(link: LinkType, frame: &[u8], original_length: u32) -> Headers {
    let headers = decode(link, frame, original_length);
    assert!(headers.payload_offset as usize <= frame.len());
    assert!(headers.payload(frame).len() <= frame.len() - headers.payload_offset as usize);
    assert!(headers.payload_length <= original_length.clamp(65_535, 1 << 20));
    let n_wrappers = headers.wrappers.iter().flatten().count();
    assert!(headers.wrappers[..n_wrappers].iter().all(Option::is_some));
    assert!(headers.transport.is_none() || headers.network.is_some());
    headers
}

fn is_tunnel(wrapper: &Wrapper) -> bool {
    !matches!(wrapper, Wrapper::Vlan(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere(choices in vec(any::<u8>(), 16), payload in vec(any::<u8>(), 0..64)) {
        let frame = frame(&choices, &payload, true);
        let whole = check(LinkType::Ethernet, &frame, frame.len() as u32);
        prop_assert!(whole.network.is_some());
        for cut in 0..frame.len() {
            let headers = check(LinkType::Ethernet, &frame[..cut], frame.len() as u32);
            let as_deep = headers.wrappers == whole.wrappers;
            if as_deep && headers.network.is_some() && headers.transport.is_some() {
                prop_assert_eq!(headers.payload_length, whole.payload_length);
                prop_assert_eq!(headers.ports(), whole.ports());
                prop_assert_eq!(headers.network, whole.network);
            }
            for link in LINKS {
                check(link, &frame[..cut], frame.len() as u32);
            }
        }
    }

    #[test]
    fn flipped_anywhere(
        choices in vec(any::<u8>(), 16),
        payload in vec(any::<u8>(), 0..64),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        original_length in any::<u32>(),
    ) {
        let mut frame = frame(&choices, &payload, true);
        for (place, value) in flips {
            let place = place.index(frame.len());
            frame[place] = value;
            for link in LINKS {
                check(link, &frame, frame.len() as u32);
                check(link, &frame, original_length);
            }
        }
    }

    #[test]
    fn anything(bytes in vec(any::<u8>(), 0..200), original_length in any::<u32>()) {
        for link in LINKS {
            check(link, &bytes, original_length);
        }
    }
}

#[test]
fn a_cut_tunnel_shows_its_outside() {
    let inner = ethernet(IPV4, &ipv4(6, &tcp(&[], b"abc")));
    let frame = ethernet(IPV4, &ipv4(17, &udp(4789, &vxlan(42, &inner))));
    let headers = decode(LinkType::Ethernet, &frame[..70], frame.len() as u32);
    assert!(!headers.wrappers.iter().flatten().any(is_tunnel));
    assert_eq!(headers.ports(), Some((40001, 4789)));
    let headers = decode(LinkType::Ethernet, &frame[..90], frame.len() as u32);
    assert!(headers.wrappers.iter().flatten().any(is_tunnel));
    assert_eq!((headers.ports(), headers.network.map(|n| n.protocol)), (None, Some(6)));
}
