//! IP fragments → whole datagrams, before flows are dissected: only the first fragment names the ports. Never keeps a
//! datagram longer than its fragments can still come, never trusts an announced length.

use super::owned::OwnedPacket;
use afterpath_formats::frame::Headers;
use afterpath_formats::packet::{Packet, flow_hash};
use std::collections::BTreeMap;

/// Reassembly time-out (RFC 791 recommends 15 s, Linux uses 30 s).
const TIMEOUT_NS: i64 = 30_000_000_000;
/// The largest IP datagram.
const MAX_DATAGRAM: u64 = 65_535;
/// Fragments of one datagram.
const MAX_FRAGMENTS: usize = 8_192;

/// Which datagram a fragment belongs to (RFC 791, RFC 8200: addresses, protocol, identification; and the point).
type Key = (u32, [u8; 16], [u8; 16], u8, u32);

struct Part {
    offset: u32,
    more: bool,
    wire_length: u32,
    payload: Vec<u8>,
    time_ns: i64,
    source_row: i64,
    headers: Headers,
}

impl Part {
    fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.wire_length)
    }
}

/// Reassembles the fragments of one host, pushed in any order of flows, time order within one.
#[derive(Default)]
pub struct Fragments {
    open: BTreeMap<Key, Vec<Part>>,
    done: Vec<OwnedPacket>,
    incomplete: u64,
}

impl Fragments {
    /// Takes a packet; anything but a fragment is ignored.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let Some(network) = packet.headers.network else { return };
        let (Some(fragment), Some(id)) = (network.fragment, network.id) else { return };
        let key = (packet.interface, network.source, network.destination, network.protocol, id);
        let parts = self.open.entry(key).or_default();
        let stale =
            parts.first().is_some_and(|p| packet.time_ns.saturating_sub(p.time_ns) > TIMEOUT_NS);
        if stale || parts.len() >= MAX_FRAGMENTS {
            self.incomplete += 1;
            parts.clear();
        }
        if parts.iter().any(|p| p.offset == fragment.offset) {
            return; // captured twice or sent again
        }
        parts.push(Part {
            offset: fragment.offset,
            more: fragment.more,
            wire_length: packet.headers.payload_length,
            payload: packet.payload.to_vec(),
            time_ns: packet.time_ns,
            source_row: packet.source_row,
            headers: packet.headers,
        });
        if let Some(whole) = assemble(parts, packet.interface) {
            self.done.push(whole);
            self.open.remove(&key);
        }
    }

    /// The whole datagrams in (flow, time) order, and how many stayed incomplete.
    pub fn finish(mut self) -> (Vec<OwnedPacket>, u64) {
        self.incomplete += self.open.values().filter(|parts| !parts.is_empty()).count() as u64;
        self.done.sort_by_key(|d| (flow_hash(&d.headers), d.time_ns, d.source_row));
        (self.done, self.incomplete)
    }
}

fn assemble(parts: &mut [Part], interface: u32) -> Option<OwnedPacket> {
    parts.sort_by_key(|p| p.offset);
    let (first, rest) = parts.split_first()?;
    let complete = first.offset == 0
        && first.headers.transport.is_some()
        && parts.last().is_some_and(|p| !p.more)
        && !rest.is_empty()
        && rest.windows(2).all(|w| w[0].end() == u64::from(w[1].offset));
    if !complete {
        return None;
    }
    // The transport header fills what lies between the first fragment's payload and the second fragment.
    let header_length = rest.first()?.offset.checked_sub(first.wire_length)?;
    let wire_length = rest.last()?.end().checked_sub(u64::from(header_length))?;
    if wire_length > MAX_DATAGRAM {
        return None;
    }
    let mut payload: Vec<u8> = Vec::new();
    for part in parts.iter() {
        payload.extend_from_slice(&part.payload);
        if (part.payload.len() as u64) < u64::from(part.wire_length) {
            break; // what follows a cut fragment has no known place
        }
    }
    let mut headers = parts[0].headers;
    headers.payload_length = wire_length as u32;
    headers.network = headers.network.map(|mut n| {
        n.fragment = None;
        n
    });
    Some(OwnedPacket {
        time_ns: parts.iter().map(|p| p.time_ns).max()?,
        interface,
        source_row: parts[0].source_row,
        headers,
        payload,
    })
}
