//! Names of namespaces that a recorder knew by number only: that of the interface, on the same host, whose own address is that
//! of a process's socket. Never overrides a name.

use super::connections::Seen;
use super::homes::{End, Homes};
use crate::dissect::sockets::UNNAMED;
use crate::point::Point;
use crate::protocol::Side;
use std::collections::BTreeMap;

/// The namespaces that connections name, by host and number, given each connection's flows.
pub fn namespaces<'a>(
    connections: impl Iterator<Item = &'a [u32]>,
    seen: &Seen<'_>,
    homes: &Homes,
) -> BTreeMap<(String, String), String> {
    let mut votes: BTreeMap<(&str, &str), BTreeMap<&str, u32>> = BTreeMap::new();
    let point = |flow: u32| &seen.points[seen.flows[flow as usize].point as usize];
    for flows in connections {
        for &socket in flows.iter().filter(|f| point(**f).netns.starts_with(UNNAMED)) {
            let end = match seen.facts[socket as usize].at_process {
                Some(Side::Client) => End::Client,
                Some(Side::Server) => End::Server,
                None => continue,
            };
            let here = point(socket);
            let own = |other: &&u32| {
                let flow = &seen.flows[**other as usize];
                point(**other).host == here.host && homes.end_at(flow) == Some(end)
            };
            for &other in flows.iter().filter(own) {
                let of_number = votes.entry((&here.host, &here.netns)).or_default();
                *of_number.entry(&point(other).netns).or_default() += 1;
            }
        }
    }
    let named = votes.into_iter().filter_map(|((host, number), names)| {
        let most = names.into_iter().max_by_key(|(name, n)| (*n, std::cmp::Reverse(*name)))?;
        Some(((host.to_string(), number.to_string()), most.0.to_string()))
    });
    named.collect()
}

/// Gives points the names that were found.
pub fn rename(points: &mut [Point], names: &BTreeMap<(String, String), String>) {
    for point in points.iter_mut().filter(|point| point.netns.starts_with(UNNAMED)) {
        if let Some(name) = names.get(&(point.host.clone(), point.netns.clone())) {
            point.netns.clone_from(name);
        }
    }
}
