//! The PROXY header that an L4 proxy may put before the client's first byte: whom the connection is really from.
//! Never takes anything but a whole header; what follows is the conversation.
//!
//! Source: "The PROXY protocol", versions 1 and 2, HAProxy Technologies, 2020.

use super::ip_address;
use crate::protocol::cursor::Cursor;
use std::net::{IpAddr, SocketAddr};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Longest line of version 1, its line end included.
const MAX_LINE: usize = 107;

/// The connection that was forwarded, as the proxy's own client side saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// Who connected to the proxy.
    pub client: SocketAddr,
    /// What it connected to.
    pub server: SocketAddr,
}

/// The header's length and what it names, if `bytes` begin with one. It names nothing for connections of the proxy's own.
pub(super) fn header(bytes: &[u8]) -> Option<(usize, Option<Proxied>)> {
    if bytes.starts_with(SIGNATURE) { binary(bytes) } else { line(bytes) }
}

fn line(bytes: &[u8]) -> Option<(usize, Option<Proxied>)> {
    let window = &bytes[..bytes.len().min(MAX_LINE)];
    let end = window.strip_prefix(b"PROXY ").and(window.windows(2).position(|w| w == b"\r\n"))?;
    let text = std::str::from_utf8(&window[..end]).ok()?;
    let words: Vec<&str> = text.split(' ').skip(1).collect();
    let named = match words[..] {
        ["UNKNOWN", ..] => None,
        ["TCP4" | "TCP6", client, server, client_port, server_port] => Some(Proxied {
            client: SocketAddr::new(client.parse().ok()?, client_port.parse().ok()?),
            server: SocketAddr::new(server.parse().ok()?, server_port.parse().ok()?),
        }),
        _ => return None,
    };
    Some((end + 2, named))
}

fn binary(bytes: &[u8]) -> Option<(usize, Option<Proxied>)> {
    let mut cursor = Cursor::new(&bytes[SIGNATURE.len()..]);
    let (command, family) = (cursor.u8()?, cursor.u8()?);
    let length = usize::from(cursor.u16_be()?);
    let mut body = Cursor::new(cursor.take(length)?);
    let named = match (command, family) {
        (0x21, 0x11) => addresses(&mut body, 4, 4),
        (0x21, 0x21) => addresses(&mut body, 6, 16),
        (0x20 | 0x21, _) => None,
        _ => return None,
    };
    Some((SIGNATURE.len() + 4 + length, named))
}

fn addresses(body: &mut Cursor<'_>, family: u8, size: usize) -> Option<Proxied> {
    let mut address = || -> Option<IpAddr> {
        let mut wide = [0; 16];
        wide[..size].copy_from_slice(body.take(size)?);
        Some(ip_address(family, wide))
    };
    let (client, server) = (address()?, address()?);
    Some(Proxied {
        client: SocketAddr::new(client, body.u16_be()?),
        server: SocketAddr::new(server, body.u16_be()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8], expected: Option<(usize, Option<[&str; 2]>)>) {
        let named = |p: Proxied| [p.client.to_string(), p.server.to_string()];
        let found = header(bytes).map(|(length, p)| (length, p.map(named)));
        let expected = expected.map(|(length, p)| (length, p.map(|ends| ends.map(String::from))));
        assert_eq!(found, expected);
    }

    fn version_2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family], &length, body].concat()
    }

    #[test]
    fn both_versions_name_both_ends() {
        let ends = Some(["10.0.0.1:5000", "10.0.0.2:80"]);
        check(b"PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\nGET /", Some((38, ends)));
        let body = [10, 0, 0, 1, 10, 0, 0, 2, 0x13, 0x88, 0, 80, 0x20, 0, 0];
        check(&version_2(0x21, 0x11, &body), Some((31, ends)));
        let six = Some(["[::1]:5000", "[::2]:80"]);
        check(b"PROXY TCP6 ::1 ::2 5000 80\r\n", Some((28, six)));
    }

    #[test]
    fn the_proxys_own_connections_name_nobody() {
        check(b"PROXY UNKNOWN\r\n", Some((15, None)));
        check(&version_2(0x20, 0, &[]), Some((16, None)));
    }

    #[test]
    fn anything_else_is_no_header() {
        check(b"PROXY TCP4 10.0.0.1 10.0.0.2 5000\r\n", None);
        check(b"PROXY TCP4 10.0.0.1 10.0.0.2 5000 80", None);
        check(b"GET / HTTP/1.1\r\n\r\n", None);
        check(&version_2(0x21, 0x11, &[1, 2, 3])[..17], None);
        check(&version_2(0x31, 0x11, &[]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_behind_a_beginning_are_survived(rest in prop::collection::vec(any::<u8>(), 0..64)) {
            for start in [SIGNATURE, b"PROXY ", b"PROXY TCP4 "] {
                let bytes = [start, &rest].concat();
                if let Some((length, _)) = header(&bytes) {
                    prop_assert!(length <= bytes.len());
                }
            }
        }
    }
}
