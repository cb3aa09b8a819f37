//! Interfaces of the calling thread's namespace, by rtnetlink (include/uapi/linux/{rtnetlink,if_link,if_addr}.h). Never changes
//! one.

use super::netlink::{attributes, dump, u16_at, u32_at};
use nix::sys::socket::SockProtocol;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// An empty ifinfomsg or ifaddrmsg, whose first byte is the address family: any.
const ANY: [u8; 16] = [0; 16];

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
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
    dump(SockProtocol::NetlinkRoute, RTM_GETLINK, &ANY, &mut |kind, body| {
        if kind == RTM_NEWLINK {
            links.extend(link(body));
        }
    })?;
    dump(SockProtocol::NetlinkRoute, RTM_GETADDR, &ANY, &mut |kind, body| {
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

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
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
