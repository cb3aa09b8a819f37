//! Interfaces of the calling thread's namespace, by rtnetlink (include/uapi/linux/{rtnetlink,if_link,if_addr}.h). Never changes
//! one.

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// NLM_F_REQUEST | NLM_F_DUMP
const DUMP: u16 = 0x301;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const HEADER: usize = 16;

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Link {
    pub(crate) ifindex: u32,
    pub(crate) name: String,
    /// `ARPHRD_`.
    pub(crate) hardware: u16,
    /// `veth`, `bridge` …; empty for hardware.
    pub(crate) kind: String,
    /// The bridge or bond it belongs to.
    pub(crate) master: Option<u32>,
    /// The interface below or opposite.
    pub(crate) link: Option<u32>,
    /// With prefix lengths.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
}

/// All interfaces, by number.
pub(crate) fn links() -> io::Result<Vec<Link>> {
    let mut links = Vec::new();
    dump(RTM_GETLINK, &mut |kind, body| {
        if kind == RTM_NEWLINK {
            links.extend(link(body));
        }
    })?;
    dump(RTM_GETADDR, &mut |kind, body| {
        if kind == RTM_NEWADDR
            && let Some((ifindex, address, prefix)) = address(body)
            && let Some(link) = links.iter_mut().find(|link: &&mut Link| link.ifindex == ifindex)
        {
            link.addresses.push((address, prefix));
        }
    })?;
    links.sort_by_key(|link| link.ifindex);
    Ok(links)
}

/// Asks for everything of one kind and hands out each message's body.
fn dump(request: u16, each: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
    let socket = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let fd = socket.as_raw_fd();
    // The header and an empty ifinfomsg or ifaddrmsg, whose first byte is the address family: any.
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32u32.to_ne_bytes());
    message.extend_from_slice(&request.to_ne_bytes());
    message.extend_from_slice(&DUMP.to_ne_bytes());
    message.resize(32, 0);
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
                    return Err(io::Error::from_raw_os_error(-code));
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

fn link(body: &[u8]) -> Option<Link> {
    let mut link =
        Link { hardware: u16_at(body, 2)?, ifindex: u32_at(body, 4)?, ..Link::default() };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_LINK => link.link = u32_at(value, 0),
            IFLA_MASTER => link.master = u32_at(value, 0),
            IFLA_LINKINFO => {
                let mut inner = attributes(value);
                let kind = inner.find(|(kind, _)| *kind == IFLA_INFO_KIND);
                link.kind = kind.map(|(_, name)| text(name)).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

fn address(body: &[u8]) -> Option<(u32, IpAddr, u8)> {
    let (prefix, ifindex) = (*body.get(1)?, u32_at(body, 4)?);
    let attributes: Vec<_> = attributes(body.get(8..)?).collect();
    let of = |wanted| attributes.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    // Of a point-to-point link IFA_ADDRESS is the other end.
    let value = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?;
    let address = match value.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?)),
        _ => return None,
    };
    Some((ifindex, address, prefix))
}

/// Attributes of a message: number and value. A length that leads outside ends them.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_loopback_interface_is_there() {
        let links = links().expect("anyone may ask");
        let lo = links.iter().find(|link| link.name == "lo").expect("every namespace has one");
        assert_eq!(lo.hardware, 772);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (link(&bytes), address(&bytes), attributes(&bytes).count());
        }
    }
}
