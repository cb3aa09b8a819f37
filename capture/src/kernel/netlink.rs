//! Netlink dumps (include/uapi/linux/netlink.h): everything of one kind, in the calling thread's namespace. Never changes anything.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::AsRawFd;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// NLM_F_REQUEST | NLM_F_DUMP
const DUMP: u16 = 0x301;
const HEADER: usize = 16;
/// An answer takes no longer than this.
const PATIENCE_SECONDS: i64 = 2;

/// Asks for everything of one kind, with this body, and hands out each message's kind and body.
pub(super) fn dump(
    protocol: SockProtocol,
    request: u16,
    body: &[u8],
    each: &mut dyn FnMut(u16, &[u8]),
) -> io::Result<()> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE_SECONDS))?;
    let fd = socket.as_raw_fd();
    let mut message = Vec::with_capacity(HEADER + body.len());
    message.extend_from_slice(&((HEADER + body.len()) as u32).to_ne_bytes());
    message.extend_from_slice(&request.to_ne_bytes());
    message.extend_from_slice(&DUMP.to_ne_bytes());
    message.resize(HEADER, 0);
    message.extend_from_slice(body);
    send(fd, &message, MsgFlags::empty())?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = recv(fd, &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..n];
        while let Some(length) = u32_at(rest, 0).map(|length| length as usize) {
            let Some(body) = rest.get(HEADER..length) else { break };
            match u16_at(rest, 4) {
                Some(NLMSG_DONE) => return Ok(()),
                Some(NLMSG_ERROR) => {
                    let code = u32_at(body, 0).unwrap_or(0) as i32;
                    return Err(io::Error::from_raw_os_error(code.saturating_neg()));
                }
                Some(kind) => each(kind, body),
                None => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if n == 0 {
            return Ok(());
        }
    }
}

/// Attributes of a message: number and value. A length that leads outside ends them.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
