//! Tunnels: IP in IP, GRE, VXLAN, Geneve. A tunnel is peeled only if an IP header is found inside; else the outer headers
//! stand and its content is their payload. Never decapsulates ESP: nothing inside is readable.

use super::{Transport, Walk, Wrapper, link, transport};

const IPV4_IN_IP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
/// VXLAN's port by IANA, and the one Linux and flannel used before and still use.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const GENEVE_PORT: u16 = 6081;
/// EtherType of an Ethernet frame bridged through GRE or Geneve.
const BRIDGED_ETHERNET: u16 = 0x6558;
/// Protocol types of mirrored Ethernet frames in GRE: ERSPAN types I and II, and III.
const ERSPAN: u16 = 0x88be;
const ERSPAN_III: u16 = 0x22eb;

/// Peels the tunnel that `protocol` carries at `at`, if it is one and there is an IP header inside.
#[inline(always)]
pub(super) fn tunnel(walk: &mut Walk<'_>, protocol: u8, at: usize, end: usize) {
    match protocol {
        transport::TCP => {}
        transport::UDP => udp_tunnel(walk, at, end),
        IPV4_IN_IP | IPV6_IN_IP => {
            peel(walk, Wrapper::IpInIp, |walk| link::raw_ip(walk, at, end));
        }
        GRE => gre(walk, at, end),
        _ => {}
    }
}

#[inline(always)]
fn udp_tunnel(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(Transport::Udp { destination_port, .. }) = walk.headers.transport else { return };
    if VXLAN_PORTS.contains(&destination_port) {
        vxlan(walk, at + 8, end);
    } else if destination_port == GENEVE_PORT {
        geneve(walk, at + 8, end);
    }
}

/// Notes `wrapper`, decodes its content, and takes the wrapper back if no IP header was in it.
fn peel(walk: &mut Walk<'_>, wrapper: Wrapper, content: impl FnOnce(&mut Walk<'_>)) {
    let (outer, n_wrappers) = (walk.headers, walk.n_wrappers);
    if !walk.wrap(wrapper) {
        return;
    }
    walk.headers.network = None;
    content(walk);
    if walk.headers.network.is_none() {
        walk.headers = outer;
        walk.unwrap_to(n_wrappers);
    }
}

/// VXLAN (RFC 7348, 5). The flag that says the identifier is valid, and the reserved last byte, tell it from other
/// traffic on these ports.
fn vxlan(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(&[flags, _, _, _, a, b, c, 0]) = walk.bytes(at) else { return };
    if flags & 0x08 != 0 {
        let id = u32::from_be_bytes([0, a, b, c]);
        peel(walk, Wrapper::Vxlan(id), |walk| link::ethernet(walk, at + 8, end));
    }
}

/// Geneve (RFC 8926, 3.4), version 0.
fn geneve(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(&[lengths, _, kind_high, kind_low, a, b, c, _]) = walk.bytes(at) else { return };
    if lengths >> 6 != 0 {
        return;
    }
    let content = at + 8 + usize::from(lengths & 0x3f) * 4;
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    let id = u32::from_be_bytes([0, a, b, c]);
    peel(walk, Wrapper::Geneve(id), |walk| by_protocol_type(walk, kind, content, end));
}

/// GRE (RFC 2784, RFC 2890), version 0 without source routes.
fn gre(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(&[flags, version, kind_high, kind_low]) = walk.bytes(at) else { return };
    if version & 0x07 != 0 || flags & 0x40 != 0 {
        return;
    }
    let (checksum, key, sequence) = (flags & 0x80 != 0, flags & 0x20 != 0, flags & 0x10 != 0);
    let key_at = at + 4 + if checksum { 4 } else { 0 };
    let key_value = match (key, walk.bytes(key_at)) {
        (false, _) => None,
        (true, Some(value)) => Some(u32::from_be_bytes(*value)),
        (true, None) => return,
    };
    let content = key_at + if key { 4 } else { 0 } + if sequence { 4 } else { 0 };
    let kind = u16::from_be_bytes([kind_high, kind_low]);
    peel(walk, Wrapper::Gre(key_value), |walk| match kind {
        // Type I has no header of its own and no sequence number (draft-foschiano-erspan-03, 4).
        ERSPAN => link::ethernet(walk, content + if sequence { 8 } else { 0 }, end),
        ERSPAN_III => erspan_iii(walk, content, end),
        _ => by_protocol_type(walk, kind, content, end),
    });
}

/// ERSPAN type III: twelve bytes, and eight more if the lowest bit says so.
fn erspan_iii(walk: &mut Walk<'_>, at: usize, end: usize) {
    if let Some(last) = walk.frame.get(at + 11) {
        let subheader = if last & 1 != 0 { 8 } else { 0 };
        link::ethernet(walk, at + 12 + subheader, end);
    }
}

/// Content named by an EtherType, or a whole Ethernet frame.
fn by_protocol_type(walk: &mut Walk<'_>, kind: u16, at: usize, end: usize) {
    if kind == BRIDGED_ETHERNET {
        link::ethernet(walk, at, end);
    } else {
        link::by_ethertype(walk, kind, at, end);
    }
}
