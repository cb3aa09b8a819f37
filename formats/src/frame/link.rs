//! Link layers: Ethernet with its VLAN tags, Linux cooked, BSD loopback, raw IP. Never looks past the EtherType.

use super::{Direction, LinkType, Walk, Wrapper, network};

/// EtherType of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// EtherTypes of VLAN tags: 802.1Q, 802.1ad, and the one switches used before 802.1ad.
const VLAN_TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Decodes a frame of type `link` from its first byte.
#[inline(always)]
pub(super) fn link(walk: &mut Walk<'_>, link: LinkType, wire_end: usize) {
    match link {
        LinkType::Ethernet => ethernet(walk, 0, wire_end),
        LinkType::RawIp => raw_ip(walk, 0, wire_end),
        LinkType::LinuxSll => linux_sll(walk, wire_end),
        LinkType::LinuxSll2 => linux_sll2(walk, wire_end),
        LinkType::Null | LinkType::Loop => bsd_loopback(walk, wire_end),
        LinkType::Other(_) => {}
    }
}

/// Ethernet II at `at`: two addresses, then the EtherType.
#[inline(always)]
pub(super) fn ethernet(walk: &mut Walk<'_>, at: usize, wire_end: usize) {
    if let Some(ethertype) = walk.u16_at(at + 12) {
        by_ethertype(walk, ethertype, at + 14, wire_end);
    }
}

/// What follows an EtherType; `at` is the byte after it.
#[inline(always)]
pub(super) fn by_ethertype(walk: &mut Walk<'_>, ethertype: u16, at: usize, wire_end: usize) {
    match ethertype {
        IPV4 => network::ipv4(walk, at, wire_end),
        IPV6 => network::ipv6(walk, at, wire_end),
        tag if VLAN_TAGS.contains(&tag) => vlan(walk, at, wire_end),
        _ => {}
    }
}

/// A VLAN tag's control information, then another EtherType (IEEE 802.1Q, 9.6). Recursion ends with the room for wrappers.
fn vlan(walk: &mut Walk<'_>, at: usize, wire_end: usize) {
    let Some(&[high, low, kind_high, kind_low]) = walk.bytes(at) else { return };
    let id = u16::from_be_bytes([high, low]) & 0x0fff;
    if walk.wrap(Wrapper::Vlan(id)) {
        by_ethertype(walk, u16::from_be_bytes([kind_high, kind_low]), at + 4, wire_end);
    }
}

/// An IP packet whose first nibble says which.
pub(super) fn raw_ip(walk: &mut Walk<'_>, at: usize, wire_end: usize) {
    match walk.frame.get(at).map(|first| first >> 4) {
        Some(4) => network::ipv4(walk, at, wire_end),
        Some(6) => network::ipv6(walk, at, wire_end),
        _ => {}
    }
}

/// LINKTYPE_LINUX_SLL: packet type, ARPHRD, address length, address (8), EtherType.
fn linux_sll(walk: &mut Walk<'_>, wire_end: usize) {
    if let Some(packet_type) = walk.u16_at(0) {
        walk.headers.direction = direction(packet_type);
    }
    if let Some(ethertype) = walk.u16_at(14) {
        by_ethertype(walk, ethertype, 16, wire_end);
    }
}

/// LINKTYPE_LINUX_SLL2: EtherType, reserved (2), interface index (4), ARPHRD, packet type (1), address length (1), address (8).
fn linux_sll2(walk: &mut Walk<'_>, wire_end: usize) {
    walk.headers.interface_index = walk.bytes(4).map(|index| u32::from_be_bytes(*index));
    if let Some(&packet_type) = walk.frame.get(10) {
        walk.headers.direction = direction(u16::from(packet_type));
    }
    if let Some(ethertype) = walk.u16_at(0) {
        by_ethertype(walk, ethertype, 20, wire_end);
    }
}

/// `PACKET_HOST` and `PACKET_OUTGOING` of linux/if_packet.h. Broadcast, multicast and frames for others came in too, but
/// not to this machine's sockets alone, so they stay undirected.
fn direction(packet_type: u16) -> Option<Direction> {
    match packet_type {
        0 => Some(Direction::Inbound),
        4 => Some(Direction::Outbound),
        _ => None,
    }
}

/// LINKTYPE_NULL and LINKTYPE_LOOP: an address family of four bytes, in whichever byte order the writer had; AF_INET6
/// is 24, 28 or 30 by BSD, 10 on Linux.
fn bsd_loopback(walk: &mut Walk<'_>, wire_end: usize) {
    let Some(family) = walk.bytes(0).map(|bytes| u32::from_be_bytes(*bytes)) else { return };
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        2 => network::ipv4(walk, 4, wire_end),
        10 | 24 | 28 | 30 => network::ipv6(walk, 4, wire_end),
        _ => {}
    }
}
