//! Observation points: every interface of every namespace, told when it appears, changes or goes. Never forgets a number: rows
//! of packets name it.

use crate::kernel::clock::REALTIME;
use crate::kernel::{Link, Namespace};
use afterpath_formats::frame::LinkType;
use afterpath_formats::table::interfaces::InterfaceRow;
use std::collections::HashMap;

/// `ARPHRD_` (include/uapi/linux/if_arp.h).
pub(super) const LOOPBACK: u16 = 772;
const ETHERNET: u16 = 1;
/// IP tunnels, raw IP and devices without a link layer: frames begin with the IP header.
const WITHOUT_LINK: [u16; 5] = [65534, 768, 769, 776, 519];
/// LINKTYPE_USER0: kept, not decoded.
const UNKNOWN: u16 = 147;

/// All points so far.
#[derive(Default)]
pub(super) struct Points {
    ids: HashMap<(u32, u32), u32>,
    rows: Vec<InterfaceRow>,
    changed: Vec<u32>,
    snap_length: u32,
}

impl Points {
    pub(super) fn new(snap_length: u32) -> Points {
        Points { snap_length, ..Points::default() }
    }

    /// The point of an interface, known or not, and how its frames begin.
    pub(super) fn id(&mut self, inode: u32, ifindex: u32, hardware: u16) -> (u32, LinkType) {
        if let Some(id) = self.ids.get(&(inode, ifindex)) {
            return (*id, LinkType::from_number(self.rows[*id as usize].link_type));
        }
        let id = self.rows.len() as u32;
        self.ids.insert((inode, ifindex), id);
        let link = link_type(hardware);
        self.rows.push(InterfaceRow {
            interface_id: id,
            point: id,
            domain_id: REALTIME,
            netns_inode: Some(inode),
            name: format!("if{ifindex}"),
            ifindex: Some(ifindex),
            link_type: link.number(),
            snap_length: self.snap_length,
            ..InterfaceRow::default()
        });
        self.changed.push(id);
        (id, link)
    }

    /// What the kernel says of a namespace's interfaces; those that it no longer names went.
    pub(super) fn learn(&mut self, inode: u32, namespace: &Namespace, links: &[Link], now_ns: i64) {
        for link in links {
            let (id, _) = self.id(inode, link.ifindex, link.hardware);
            let row = &mut self.rows[id as usize];
            let is_veth = link.kind == "veth";
            let told = InterfaceRow {
                netns: (!namespace.is_initial).then(|| namespace.name.clone()),
                name: link.name.clone(),
                kind: kind(link),
                master: link.master,
                peer: link.link.filter(|_| is_veth),
                addresses: addresses(link),
                valid_from_ns: row.valid_from_ns.or(Some(now_ns)),
                valid_to_ns: None,
                ..row.clone()
            };
            if *row != told {
                *row = told;
                self.changed.push(id);
            }
        }
        let is_there =
            |row: &InterfaceRow| links.iter().any(|link| Some(link.ifindex) == row.ifindex);
        self.close(inode, now_ns, |row| !is_there(row));
    }

    /// The namespace went, and its interfaces with it.
    pub(super) fn went(&mut self, inode: u32, now_ns: i64) {
        self.close(inode, now_ns, |_| true);
        // Its number may be given to another one.
        self.ids.retain(|(of, _), _| *of != inode);
    }

    fn close(&mut self, inode: u32, now_ns: i64, is_gone: impl Fn(&InterfaceRow) -> bool) {
        for row in &mut self.rows {
            if row.netns_inode == Some(inode) && row.valid_to_ns.is_none() && is_gone(row) {
                row.valid_to_ns = Some(now_ns);
                self.changed.push(row.interface_id);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Rows that changed since the last call.
    pub(super) fn changed(&mut self) -> Vec<InterfaceRow> {
        self.changed.sort_unstable();
        self.changed.dedup();
        self.changed.drain(..).map(|id| self.rows[id as usize].clone()).collect()
    }
}

fn link_type(hardware: u16) -> LinkType {
    match hardware {
        ETHERNET | LOOPBACK => LinkType::Ethernet,
        hardware if WITHOUT_LINK.contains(&hardware) => LinkType::RawIp,
        _ => LinkType::Other(UNKNOWN),
    }
}

fn kind(link: &Link) -> String {
    match link.hardware {
        LOOPBACK => "loopback".to_string(),
        _ if link.kind.is_empty() => "device".to_string(),
        _ => link.kind.clone(),
    }
}

fn addresses(link: &Link) -> Option<String> {
    let all: Vec<String> =
        link.addresses.iter().map(|(address, prefix)| format!("{address}/{prefix}")).collect();
    (!all.is_empty()).then(|| all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn link(ifindex: u32, name: &str) -> Link {
        Link { ifindex, name: name.to_string(), hardware: ETHERNET, ..Link::default() }
    }

    #[test]
    fn points_are_told_when_they_appear_change_and_go() {
        let namespace =
            Namespace { path: PathBuf::new(), name: "podA".to_string(), is_initial: false };
        let mut points = Points::new(100);
        assert_eq!(points.id(7, 2, ETHERNET), (0, LinkType::Ethernet));
        points.learn(7, &namespace, &[link(1, "lo"), link(2, "eth0")], 50);
        let told: Vec<_> =
            points.changed().into_iter().map(|row| (row.interface_id, row.name)).collect();
        assert_eq!(told, [(0, "eth0".to_string()), (1, "lo".to_string())]);
        points.learn(7, &namespace, &[link(1, "lo"), link(2, "eth0")], 51);
        assert_eq!(points.changed(), []);
        points.learn(7, &namespace, &[link(1, "lo")], 52);
        let told = points.changed();
        assert_eq!((told.len(), told[0].interface_id, told[0].valid_to_ns), (1, 0, Some(52)));
        points.went(7, 53);
        assert_eq!(points.changed()[0].valid_to_ns, Some(53));
        assert_eq!(points.id(7, 2, WITHOUT_LINK[0]), (2, LinkType::RawIp), "another namespace");
    }
}
