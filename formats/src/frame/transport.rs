//! TCP and UDP headers. Never follows a connection; a header is read alone.

use super::{Tcp, Transport, Walk};

/// TCP's protocol number.
pub(super) const TCP: u8 = 6;
/// UDP's protocol number.
pub(super) const UDP: u8 = 17;

/// Reads the transport header at `at`, if `protocol` has one known here; its payload ends at `end` on the wire.
#[inline(always)]
pub(super) fn transport(walk: &mut Walk<'_>, protocol: u8, at: usize, end: usize) {
    match protocol {
        TCP => tcp(walk, at, end),
        UDP => udp(walk, at, end),
        _ => {}
    }
}

/// TCP (RFC 9293, 3.1). A header cut after its window still counts: checksum and urgent pointer are not used.
#[inline(always)]
fn tcp(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(fixed) = walk.bytes::<16>(at) else { return };
    let header_length = usize::from(fixed[12] >> 4) * 4;
    if header_length < 20 || at + header_length > end {
        return;
    }
    let mut tcp = Tcp {
        source_port: u16::from_be_bytes([fixed[0], fixed[1]]),
        destination_port: u16::from_be_bytes([fixed[2], fixed[3]]),
        sequence: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        acknowledgment: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        flags: fixed[13],
        window: u16::from_be_bytes([fixed[14], fixed[15]]),
        timestamp_value: None,
        timestamp_echo: None,
        window_scale: None,
        mss: None,
    };
    if header_length > 20 {
        let options_end = (at + header_length).min(walk.frame.len());
        options(walk.frame.get(at + 20..options_end).unwrap_or_default(), &mut tcp);
    }
    walk.headers.transport = Some(Transport::Tcp(tcp));
    walk.payload(at + header_length, end);
}

/// TCP options (RFC 9293, 3.2; RFC 7323), up to the first that is cut or malformed.
#[inline(always)]
fn options(mut options: &[u8], tcp: &mut Tcp) {
    // The layout nearly every segment of an open connection has (RFC 7323, appendix A).
    if let [1, 1, 8, 10, rest @ ..] = options
        && let Some(&stamps) = rest.first_chunk::<8>()
        && rest.len() == 8
    {
        return timestamps(&stamps, tcp);
    }
    loop {
        let (kind, value, rest) = match options {
            [] | [0, ..] => return,
            [1, rest @ ..] => {
                options = rest;
                continue;
            }
            [kind, length, rest @ ..] => {
                let Some((value, rest)) = usize::from(*length)
                    .checked_sub(2)
                    .and_then(|length| rest.split_at_checked(length))
                else {
                    return;
                };
                (*kind, value, rest)
            }
            [_] => return,
        };
        match (kind, value) {
            (2, &[high, low]) => tcp.mss = Some(u16::from_be_bytes([high, low])),
            (3, &[scale]) => tcp.window_scale = Some(scale),
            (8, value) => {
                if let Ok(stamps) = <&[u8; 8]>::try_from(value) {
                    timestamps(stamps, tcp);
                }
            }
            _ => {}
        }
        options = rest;
    }
}

#[inline(always)]
fn timestamps(&[a, b, c, d, e, f, g, h]: &[u8; 8], tcp: &mut Tcp) {
    tcp.timestamp_value = Some(u32::from_be_bytes([a, b, c, d]));
    tcp.timestamp_echo = Some(u32::from_be_bytes([e, f, g, h]));
}

/// UDP (RFC 768). A length of 0 means "longer than 16 bits hold" and one past the IP payload a first fragment: then the
/// IP length counts.
fn udp(walk: &mut Walk<'_>, at: usize, end: usize) {
    let Some(&[a, b, c, d]) = walk.bytes(at) else { return };
    if at + 8 > end {
        return;
    }
    walk.headers.transport = Some(Transport::Udp {
        source_port: u16::from_be_bytes([a, b]),
        destination_port: u16::from_be_bytes([c, d]),
    });
    let end = match walk.u16_at(at + 4) {
        Some(length @ 8..) => end.min(at + usize::from(length)),
        _ => end,
    };
    walk.payload(at + 8, end);
}
