//! Connections that the namespace translates, by ctnetlink (include/uapi/linux/netfilter/nfnetlink_conntrack.h). Never changes one.

use super::netlink::{attributes, dump};
use nix::sys::socket::SockProtocol;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET, and the answers' kind, IPCTNL_MSG_CT_NEW.
const GET: u16 = 0x101;
const NEW: u16 = 0x100;
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;

/// A translated connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Translation {
    pub(crate) protocol: u8,
    /// Source and destination of the original direction, and of replies.
    pub(crate) original: (SocketAddr, SocketAddr),
    pub(crate) reply: (SocketAddr, SocketAddr),
}

/// All connections whose replies are not the mirror of their originals.
pub(crate) fn translations() -> io::Result<Vec<Translation>> {
    let mut found = Vec::new();
    // An nfgenmsg of any family.
    dump(SockProtocol::NetlinkNetFilter, GET, &[0; 4], &mut |kind, body| {
        if kind == NEW {
            found.extend(translation(body));
        }
    })?;
    Ok(found)
}

fn translation(body: &[u8]) -> Option<Translation> {
    let (mut original, mut reply) = (None, None);
    for (kind, value) in attributes(body.get(4..)?) {
        match kind {
            CTA_TUPLE_ORIG => original = tuple(value),
            CTA_TUPLE_REPLY => reply = tuple(value),
            _ => {}
        }
    }
    let ((protocol, from, to), (_, reply_from, reply_to)) = (original?, reply?);
    let is_mirror = (reply_from, reply_to) == (to, from);
    (!is_mirror).then_some(Translation {
        protocol,
        original: (from, to),
        reply: (reply_from, reply_to),
    })
}

/// Protocol, source, destination.
fn tuple(value: &[u8]) -> Option<(u8, SocketAddr, SocketAddr)> {
    let (mut addresses, mut ports, mut protocol) = ([None; 2], [0; 2], 0);
    for (kind, value) in attributes(value) {
        match kind {
            CTA_TUPLE_IP => {
                for (kind, value) in attributes(value) {
                    // V4 source, V4 destination, V6 source, V6 destination.
                    let place = usize::from(kind.checked_sub(1)? % 2);
                    addresses[place] = address(value).or(addresses[place]);
                }
            }
            CTA_TUPLE_PROTO => {
                for (kind, value) in attributes(value) {
                    match (kind, value) {
                        (1, [number, ..]) => protocol = *number,
                        (2 | 3, [high, low, ..]) => {
                            ports[usize::from(kind - 2)] = u16::from_be_bytes([*high, *low]);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let [from, to] = addresses;
    Some((protocol, SocketAddr::new(from?, ports[0]), SocketAddr::new(to?, ports[1])))
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?))),
        16 => Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An attribute.
    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tuple_of(from: [u8; 4], to: [u8; 4], ports: (u16, u16)) -> Vec<u8> {
        let ip = [attribute(1, &from), attribute(2, &to)].concat();
        let proto = [
            attribute(1, &[6]),
            attribute(2, &ports.0.to_be_bytes()),
            attribute(3, &ports.1.to_be_bytes()),
        ]
        .concat();
        [attribute(CTA_TUPLE_IP | 0x8000, &ip), attribute(CTA_TUPLE_PROTO | 0x8000, &proto)]
            .concat()
    }

    fn check(original: Vec<u8>, reply: Vec<u8>, expected: Option<&str>) {
        let body = [
            vec![0; 4],
            attribute(CTA_TUPLE_ORIG | 0x8000, &original),
            attribute(CTA_TUPLE_REPLY | 0x8000, &reply),
        ];
        let found = translation(&body.concat());
        let shown = found
            .map(|t| format!("{} {} {:?} {:?}", t.protocol, t.original.1, t.reply.0, t.reply.1));
        assert_eq!(shown.as_deref(), expected);
    }

    #[test]
    fn only_what_is_translated_counts() {
        let (a, b, c) = ([10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]);
        check(tuple_of(a, b, (1, 2)), tuple_of(b, a, (2, 1)), None);
        check(
            tuple_of(a, b, (1, 2)),
            tuple_of(c, a, (9, 1)),
            Some("6 10.0.0.2:2 10.0.0.3:9 10.0.0.1:1"),
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (translation(&bytes), tuple(&bytes));
        }
    }
}
