//! Where addresses live: which namespace an endpoint is in, learnt from what the points saw. An interface's own address
//! takes part in all its traffic; a bridge port's or a router's passing traffic ends elsewhere. Never looks at content.

use super::connections::Seen;
use crate::flow::Flow;
use crate::point::Point;
use afterpath_formats::frame::Direction as Passing;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

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
    /// Per point, the addresses that take part in all its flows: of IPv4, of IPv6. An interface may have both.
    own: Vec<[BTreeSet<IpAddr>; 2]>,
    /// Namespace that an address lives in.
    home: BTreeMap<IpAddr, Place>,
    places: Vec<Place>,
}

impl Homes {
    /// Learns each interface's own address candidates.
    pub fn learn_points(seen: &Seen<'_>) -> Homes {
        let mut own: Vec<[Option<BTreeSet<IpAddr>>; 2]> = vec![[None, None]; seen.points.len()];
        let at_interface = |flow: &&Flow| seen.points[flow.point as usize].process.is_none();
        let flows = seen.flows.iter().filter(at_interface);
        for flow in flows.filter(|f| !is_broadcast(f.server.ip())) {
            let ends = BTreeSet::from([flow.client.ip(), flow.server.ip()]);
            let slot = &mut own[flow.point as usize][family(flow.client.ip())];
            *slot = Some(match slot.take() {
                Some(before) => &before & &ends,
                None => ends,
            });
        }
        let places = places(seen.points);
        let own = own.into_iter().map(|both| both.map(Option::unwrap_or_default)).collect();
        let mut homes = Homes { own, home: BTreeMap::new(), places };
        for family in [0, 1] {
            homes.eliminate(family);
            homes.contest(family, seen);
        }
        homes
    }

    /// Takes the namespaces' names anew.
    pub fn rename(&mut self, points: &[Point]) {
        self.places = places(points);
    }

    /// The points with one candidate, and it.
    fn sole(&self, family: usize) -> impl Iterator<Item = (IpAddr, usize)> {
        let points = self.own.iter().enumerate().filter(move |(_, own)| own[family].len() == 1);
        points.flat_map(move |(point, own)| own[family].iter().map(move |&a| (a, point)))
    }

    /// Where two candidates are left, the one that is another namespace's only candidate is not this one's.
    fn eliminate(&mut self, family: usize) {
        let sole: BTreeSet<(IpAddr, Place)> =
            self.sole(family).map(|(a, point)| (a, self.places[point].clone())).collect();
        for point in 0..self.own.len() {
            let own = &self.own[point][family];
            if own.len() != 2 {
                continue;
            }
            let place = &self.places[point];
            let foreign = |a: &IpAddr| {
                !a.is_loopback()
                    && sole.iter().any(|(address, other)| address == a && other != place)
                    && !sole.contains(&(*a, place.clone()))
            };
            let kept: BTreeSet<IpAddr> = own.iter().copied().filter(|a| !foreign(a)).collect();
            if kept.len() == 1 {
                self.own[point][family] = kept;
            }
        }
    }

    /// A router that serves one neighbour only sees that neighbour's address in all its flows. Where several namespaces of
    /// one clock have the same candidate, it is of those that saw its packets first. A bridge's ports keep theirs: they
    /// stand for the end beyond them, and a bridge is known by seeing a connection twice.
    fn contest(&mut self, family: usize, seen: &Seen<'_>) {
        let mut claims: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
        self.sole(family)
            .for_each(|(address, point)| claims.entry(address).or_default().push(point));
        claims.retain(|address, points| {
            let place = |point: &usize| &self.places[*point];
            !address.is_loopback() && points.iter().any(|point| place(point) != place(&points[0]))
        });
        let claimants: BTreeSet<usize> = claims.values().flatten().copied().collect();
        let times = connections_at(&claimants, seen);
        let passing = self.passing(&times);
        for (address, points) in claims {
            let stays = |point: usize| passing.contains(&self.places[point]);
            let is_rival = |point: usize, other: usize| {
                self.places[other] != self.places[point]
                    && seen.points[other].domain == seen.points[point].domain
                    && !stays(other)
            };
            let loses = |&&point: &&usize| {
                let behind = |other: &usize| is_behind(&times[&point], &times[other], address);
                !stays(point) && points.iter().filter(|o| is_rival(point, **o)).any(behind)
            };
            let lost: Vec<usize> = points.iter().filter(loses).copied().collect();
            lost.into_iter().for_each(|point| self.own[point][family].clear());
        }
    }

    /// Namespaces that see one connection at several of these points.
    fn passing(&self, times: &BTreeMap<usize, Times>) -> BTreeSet<Place> {
        let mut seen: BTreeSet<(&Place, Ends)> = BTreeSet::new();
        let mut passing = BTreeSet::new();
        for (point, connections) in times {
            for ends in connections.keys() {
                if !seen.insert((&self.places[*point], *ends)) {
                    passing.insert(self.places[*point].clone());
                }
            }
        }
        passing
    }

    /// Whose own interface the flow's point is, if one's.
    pub(super) fn end_at(&self, flow: &Flow) -> Option<End> {
        let own = &self.own[flow.point as usize][family(flow.client.ip())];
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
            self.own[flow.point as usize][family(address)].contains(&address)
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

/// 0 for IPv4, 1 for IPv6.
fn family(address: IpAddr) -> usize {
    usize::from(address.is_ipv6())
}

/// Both ends of a connection: client, server.
type Ends = (SocketAddr, SocketAddr);

/// When each connection began at a point.
type Times = BTreeMap<Ends, i64>;

fn connections_at(points: &BTreeSet<usize>, seen: &Seen<'_>) -> BTreeMap<usize, Times> {
    let mut times: BTreeMap<usize, Times> = points.iter().map(|&p| (p, Times::new())).collect();
    for flow in seen.flows {
        if let Some(at) = times.get_mut(&(flow.point as usize)) {
            let began = flow.handshake_ns[0].unwrap_or(flow.first_ns);
            at.entry((flow.client, flow.server)).or_insert(began);
        }
    }
    times
}

/// Whether most connections that both saw say that `there` is nearer to `address` than `here`: requests pass the client's
/// own interface first, and the server's last.
fn is_behind(here: &Times, there: &Times, address: IpAddr) -> bool {
    let votes = here.iter().filter_map(|(ends, at)| {
        let later = at.cmp(there.get(ends)?) as i64;
        Some(if ends.0.ip() == address { later } else { -later })
    });
    votes.sum::<i64>() > 0
}

fn is_broadcast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dissect::FlowFacts;
    use crate::flow::Close;

    fn point(netns: &str) -> Point {
        Point {
            host: "box".to_string(),
            netns: netns.to_string(),
            interface: "eth0".to_string(),
            process: None,
            domain: 0,
        }
    }

    fn flow(point: u32, client: &str, server: &str, began: i64) -> Flow {
        Flow {
            point,
            ip_protocol: 6,
            protocol: "http1".to_string(),
            client: client.parse().expect("an address and port"),
            server: server.parse().expect("an address and port"),
            first_ns: began,
            last_ns: began + 100,
            handshake_ns: [Some(began), None, None],
            counters: Default::default(),
            pace: Default::default(),
            close: Close::Open,
            issues: Vec::new(),
        }
    }

    /// Whose interface each flow was seen at, as learnt from all of them.
    fn check(points: &[&str], flows: &[Flow], expected: &[Option<End>]) {
        let points: Vec<Point> = points.iter().map(|netns| point(netns)).collect();
        let facts: Vec<FlowFacts> = flows.iter().map(|_| FlowFacts::default()).collect();
        let homes = Homes::learn_points(&Seen { points: &points, flows, facts: &facts });
        let found: Vec<Option<End>> = flows.iter().map(|flow| homes.end_at(flow)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_interface_may_have_an_address_of_each_family() {
        let flows = [
            flow(0, "10.0.0.7:1000", "10.0.0.1:80", 0),
            flow(0, "10.0.0.7:1001", "10.0.0.2:80", 0),
            flow(0, "[fd00::1]:1000", "[fd00::7]:80", 0),
            flow(0, "[fd00::2]:1000", "[fd00::7]:80", 0),
        ];
        let (client, server) = (Some(End::Client), Some(End::Server));
        check(&["pod"], &flows, &[client, client, server, server]);
    }

    #[test]
    fn a_router_with_one_neighbour_is_not_that_neighbour() {
        // The pod calls two others through the router, which sees nobody else's packets.
        let flows = [
            flow(0, "10.0.0.7:1000", "10.1.0.1:80", 100),
            flow(0, "10.0.0.7:1001", "10.1.0.2:80", 200),
            flow(1, "10.0.0.7:1000", "10.1.0.1:80", 103),
            flow(1, "10.0.0.7:1001", "10.1.0.2:80", 204),
        ];
        let client = Some(End::Client);
        check(&["pod", "router"], &flows, &[client, client, None, None]);
    }

    #[test]
    fn requests_to_an_address_pass_its_own_interface_last() {
        let there = |point, began: i64| {
            ["10.0.0.1:1000", "10.0.0.2:1000"]
                .map(|client| flow(point, client, "10.0.0.7:80", began))
        };
        let flows = [there(0, 103), there(1, 100)].concat();
        let server = Some(End::Server);
        check(&["pod", "router"], &flows, &[server, server, None, None]);
    }
}
