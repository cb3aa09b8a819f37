//! IPv4 and IPv6 with their extension headers. Never reassembles: a fragment is a fragment.

use super::{Fragment, Network, Walk, transport, tunnel};

/// Extension headers followed at most: real stacks send a handful, and a frame made of nothing else must not cost more.
const MAX_EXTENSIONS: usize = 16;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const NO_NEXT_HEADER: u8 = 59;
const DESTINATION: u8 = 60;
const MOBILITY: u8 = 135;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;

/// IPv4 at `at` (RFC 791, 3.1).
pub(super) fn ipv4(walk: &mut Walk<'_>, at: usize, wire_end: usize) {
    let Some(fixed) = walk.bytes::<20>(at) else { return };
    let header_length = usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] >> 4 != 4 || header_length < 20 {
        return;
    }
    let total_length = u16::from_be_bytes([fixed[2], fixed[3]]);
    // 0: longer than 16 bits hold (BIG TCP), or left for the card to fill in (segmentation offload).
    let end = if total_length == 0 { wire_end } else { at + usize::from(total_length) };
    let fragment_bits = u16::from_be_bytes([fixed[6], fixed[7]]);
    let network = Network {
        family: 4,
        source: widen([fixed[12], fixed[13], fixed[14], fixed[15]]),
        destination: widen([fixed[16], fixed[17], fixed[18], fixed[19]]),
        protocol: fixed[9],
        ttl: fixed[8],
        id: Some(u32::from(u16::from_be_bytes([fixed[4], fixed[5]]))),
        fragment: fragment(u32::from(fragment_bits & 0x1fff) * 8, fragment_bits & 0x2000 != 0),
    };
    enter(walk, network, at + header_length, end);
}

/// IPv6 at `at` (RFC 8200, 3).
pub(super) fn ipv6(walk: &mut Walk<'_>, at: usize, wire_end: usize) {
    let Some(fixed) = walk.bytes::<40>(at) else { return };
    if fixed[0] >> 4 != 6 {
        return;
    }
    let (mut source, mut destination) = ([0; 16], [0; 16]);
    source.copy_from_slice(&fixed[8..24]);
    destination.copy_from_slice(&fixed[24..40]);
    let protocol = fixed[6];
    let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    // 0 with something following: a jumbogram (RFC 2675), whose option Linux's BIG TCP no longer writes.
    let jumbo = length == 0 && protocol != NO_NEXT_HEADER;
    let end = if jumbo { wire_end } else { at + 40 + length };
    let network = Network {
        family: 6,
        source,
        destination,
        protocol,
        ttl: fixed[7],
        id: None,
        fragment: None,
    };
    enter(walk, network, at + 40, end);
}

/// Makes `network` the innermost IP header and goes on behind it.
#[inline(always)]
fn enter(walk: &mut Walk<'_>, mut network: Network, at: usize, end: usize) {
    let at = if has_extension(&network) { extensions(walk, &mut network, at) } else { Some(at) };
    walk.headers.network = Some(network);
    walk.headers.transport = None;
    // An extension header that was not captured: where it ends, and so the payload, can't be known.
    let Some(at) = at else { return walk.payload(walk.frame.len(), 0) };
    walk.payload(at, end);
    // Behind `end` lies padding, whatever it looks like.
    if at >= end || network.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return;
    }
    transport::transport(walk, network.protocol, at, end);
    tunnel::tunnel(walk, network.protocol, at, end);
}

/// Whether extension headers may follow. Only the authentication header also follows IPv4.
#[inline(always)]
fn has_extension(network: &Network) -> bool {
    match network.protocol {
        AUTHENTICATION => network.fragment.is_none_or(|fragment| fragment.offset == 0),
        HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION | MOBILITY | HOST_IDENTITY | SHIM6 => {
            network.family == 6
        }
        _ => false,
    }
}

/// Steps over the extension headers at `at`, updating `network`; the offset behind them, or none if one was cut off:
/// `network.protocol` is then that header's.
fn extensions(walk: &Walk<'_>, network: &mut Network, mut at: usize) -> Option<usize> {
    for _ in 0..MAX_EXTENSIONS {
        let later_fragment = network.fragment.is_some_and(|fragment| fragment.offset > 0);
        if later_fragment || !has_extension(network) {
            return Some(at);
        }
        let kind = network.protocol;
        let &[next, length] = walk.bytes(at)?;
        if kind == FRAGMENT {
            let header = walk.bytes::<8>(at)?;
            let bits = u16::from_be_bytes([header[2], header[3]]);
            network.id = Some(u32::from_be_bytes([header[4], header[5], header[6], header[7]]));
            network.fragment = fragment(u32::from(bits & 0xfff8), bits & 1 != 0);
        }
        network.protocol = next;
        at += match kind {
            FRAGMENT => 8,
            // In units of four bytes, minus two (RFC 4302, 2.2).
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
    }
    None
}

fn fragment(offset: u32, more: bool) -> Option<Fragment> {
    (more || offset > 0).then_some(Fragment { offset, more })
}

fn widen(address: [u8; 4]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[..4].copy_from_slice(&address);
    wide
}
