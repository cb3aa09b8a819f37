//! Where addresses live: which namespace an endpoint is in, learnt from what the points saw. An interface's own address
//! takes part in all its traffic; a bridge port's or a router's passing traffic ends elsewhere. Never looks at content.

use super::connections::Seen;
use crate::call::{Flow, Point};
use afterpath_formats::frame::Direction as Passing;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A namespace of a host.
pub type Place = (String, String);

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// What was learnt about addresses and points.
#[derive(Debug, Default)]
pub struct Homes {
    /// Per point, the addresses that take part in all its flows.
    own: Vec<BTreeSet<IpAddr>>,
    /// Namespace that an address lives in.
    home: BTreeMap<IpAddr, Place>,
    places: Vec<Place>,
}

impl Homes {
    /// Learns each interface's own address candidates.
    pub fn learn_points(seen: &Seen<'_>) -> Homes {
        let mut own: Vec<Option<BTreeSet<IpAddr>>> = vec![None; seen.points.len()];
        let at_interface = |flow: &&Flow| seen.points[flow.point as usize].process.is_none();
        let flows = seen.flows.iter().filter(at_interface);
        for flow in flows.filter(|f| !is_broadcast(f.server.ip())) {
            let ends = BTreeSet::from([flow.client.ip(), flow.server.ip()]);
            let slot = &mut own[flow.point as usize];
            *slot = Some(match slot.take() {
                Some(before) => &before & &ends,
                None => ends,
            });
        }
        let places = places(seen.points);
        let own = own.into_iter().map(Option::unwrap_or_default).collect();
        let mut homes = Homes { own, home: BTreeMap::new(), places };
        homes.eliminate();
        homes
    }

    /// Takes the namespaces' names anew.
    pub fn rename(&mut self, points: &[Point]) {
        self.places = places(points);
    }

    /// Where two candidates are left, the one that is another namespace's only candidate is not this one's.
    fn eliminate(&mut self) {
        let sole: BTreeSet<(IpAddr, Place)> = (0..self.own.len())
            .filter(|&point| self.own[point].len() == 1)
            .flat_map(|point| self.own[point].iter().map(move |&a| (a, point)))
            .map(|(address, point)| (address, self.places[point].clone()))
            .collect();
        for point in 0..self.own.len() {
            if self.own[point].len() != 2 {
                continue;
            }
            let place = &self.places[point];
            let foreign = |a: &IpAddr| {
                !a.is_loopback()
                    && sole.iter().any(|(address, other)| address == a && other != place)
                    && !sole.contains(&(*a, place.clone()))
            };
            let kept: BTreeSet<IpAddr> =
                self.own[point].iter().copied().filter(|a| !foreign(a)).collect();
            if kept.len() == 1 {
                self.own[point] = kept;
            }
        }
    }

    /// Whose own interface the flow's point is, if one's.
    pub(super) fn end_at(&self, flow: &Flow) -> Option<End> {
        let own = &self.own[flow.point as usize];
        match (own.len(), own.contains(&flow.client.ip()), own.contains(&flow.server.ip())) {
            (1, true, false) => Some(End::Client),
            (1, false, true) => Some(End::Server),
            _ => None,
        }
    }

    /// Learns homes from the ends of paths: `paths` are flows in path order, one list per connection.
    pub fn learn_homes(&mut self, paths: &[Vec<u32>], seen: &Seen<'_>) {
        let mut votes: BTreeMap<IpAddr, BTreeMap<Place, u64>> = BTreeMap::new();
        let mut transit: BTreeSet<Place> = BTreeSet::new();
        for path in paths {
            let (Some(&first), Some(&last)) = (path.first(), path.last()) else { continue };
            let client = self.end_vote(path, first, 0, seen);
            let server = self.end_vote(path, last, 1, seen);
            if let (Some((a, x)), Some((b, y))) = (&client, &server)
                && x == y
                && a != b
                && !a.is_loopback()
                && !b.is_loopback()
                && [first, last].iter().all(|f| seen.facts[*f as usize].at_process.is_none())
            {
                transit.insert(x.clone());
                continue;
            }
            for (address, place) in [client, server].into_iter().flatten() {
                *votes.entry(address).or_default().entry(place).or_default() += 1;
            }
        }
        for (address, places) in votes.into_iter().filter(|(a, _)| !a.is_loopback()) {
            let best = places
                .into_iter()
                .filter(|(place, _)| !transit.contains(place))
                .max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
            if let Some((place, _)) = best {
                self.home.insert(address, place);
            }
        }
    }

    /// That the end `side` (0 client, 1 server) of a path lives where the path ends.
    fn end_vote(
        &self,
        path: &[u32],
        end: u32,
        side: usize,
        seen: &Seen<'_>,
    ) -> Option<(IpAddr, Place)> {
        let flow = &seen.flows[end as usize];
        let address = if side == 0 { flow.client.ip() } else { flow.server.ip() };
        let place = self.places[flow.point as usize].clone();
        if seen.facts[end as usize].at_process.is_some_and(|at| at as usize == side) {
            return Some((address, place)).filter(|_| !address.is_unspecified());
        }
        let leaves = |f: &u32| seen.facts[*f as usize].passing[side] == Some(Passing::Outbound);
        let here = |f: &&u32| self.places[seen.flows[**f as usize].point as usize] == place;
        let passing_known = seen.facts[end as usize].passing[side].is_some();
        let local = if address.is_loopback() || flow.client.ip() == flow.server.ip() {
            true
        } else if passing_known {
            path.iter().filter(here).all(leaves)
        } else {
            self.own[flow.point as usize].contains(&address)
        };
        local.then_some((address, place))
    }

    /// Where end `side` of a flow lives: where the process is whose socket it is, else where its address does.
    pub(super) fn of_end(&self, flow: u32, side: usize, seen: &Seen<'_>) -> Option<&Place> {
        let here = &seen.flows[flow as usize];
        if seen.facts[flow as usize].at_process.is_some_and(|at| at as usize == side) {
            return Some(&self.places[here.point as usize]);
        }
        let end = if side == 0 { here.client } else { here.server };
        self.of(end.ip(), here)
    }

    /// Where the end with `address`, nearest to `flow`, lives.
    pub fn of(&self, address: IpAddr, flow: &Flow) -> Option<&Place> {
        if address.is_loopback() {
            return Some(&self.places[flow.point as usize]);
        }
        self.home.get(&address)
    }
}

fn places(points: &[Point]) -> Vec<Place> {
    points.iter().map(|p| (p.host.clone(), p.netns.clone())).collect()
}

fn is_broadcast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
