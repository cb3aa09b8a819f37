//! One datagram socket's events → one exchange per other end, every event a datagram. Never takes a peek.

use super::log::SocketLog;
use super::{MSG_TRUNC, Socket, count, moved, settle};
use crate::dissect::Dissected;
use crate::dissect::conversation::Room;
use crate::dissect::datagrams::Exchange;
use afterpath_formats::frame::Headers;
use afterpath_formats::packet::Packet;
use afterpath_formats::table::socket_events::{INBOUND, SocketEventRow};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Hands the socket's flows and spans to `out`.
pub(super) fn dissect(
    socket: &Socket<'_>,
    events: &[SocketEventRow<'_>],
    out: &mut Dissected,
    room: &Room,
) {
    let mut exchanges: BTreeMap<SocketAddr, (Exchange, usize, SocketLog)> = BTreeMap::new();
    let Some(local) = socket.local else { return };
    for event in socket.host.timed(events) {
        let Some(direction) = event.row.direction else { continue };
        let result = match (event.row.result, event.row.mark) {
            (None, _) => {
                count(out, socket.point, "unfinished-call", 1);
                continue;
            }
            (Some(result), mark) if result < 0 || mark == Some("peek") => continue,
            (Some(result), _) => result,
        };
        let Some(remote) = event.row.peer.or(socket.remote) else {
            count(out, socket.point, "no-address", 1);
            continue;
        };
        let (exchange, here, log) = exchanges.entry(remote).or_insert_with(|| {
            let (key, here) = socket.key(local, remote);
            let log = SocketLog { host: socket.host.host, ..SocketLog::default() };
            (Exchange::new(key, event.at_ns, room.id_fields()), here, log)
        });
        let inbound = direction == INBOUND;
        let is_cut = inbound && event.row.flags.unwrap_or(0) & MSG_TRUNC != 0;
        let length = u32::try_from(result).unwrap_or(u32::MAX);
        let known = event.row.bytes.unwrap_or(&[]);
        let known = &known[..known.len().min(if is_cut { usize::MAX } else { length as usize })];
        let packet = Packet {
            time_ns: event.at_ns,
            source_row: 0,
            interface: socket.point,
            flow_hash: 0,
            original_length: length,
            headers: Headers { payload_length: length, ..Headers::NONE },
            payload: known,
        };
        exchange.push(&packet, if inbound { 1 - *here } else { *here });
        log.moved[usize::from(!inbound)].push(moved(&event));
    }
    for (_, (exchange, _, log)) in exchanges {
        exchange.finish(out);
        settle(socket, local, log, out);
    }
}
