//! Who takes part: instances of services as observation points, and those that no span is of, under the names that spans give them. Tracers name
//! no addresses of both ends, so these are made up, each its own (of the range for documentation, RFC 3849, which no host has).

use crate::point::{Endpoint, Point, Process};
use afterpath_formats::table::spans::SpanRow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Instances, and everybody's addresses.
pub(super) struct Points {
    pub(super) points: Vec<Point>,
    pub(super) domains: Vec<String>,
    /// Per span the point that it was made at.
    pub(super) of_row: Vec<u32>,
    n_before: u32,
}

/// Somebody who left no span.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Peer {
    /// As others call it; empty: nobody says.
    pub(super) name: String,
    /// Where it is, if that is said.
    pub(super) address: Option<IpAddr>,
    /// See `address`.
    pub(super) port: Option<u16>,
}

impl Points {
    pub(super) fn of(rows: &[SpanRow], n_points: usize, n_domains: usize) -> Points {
        let mut instances: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for row in rows {
            let instance = row.instance.as_deref().unwrap_or(&row.service);
            instances.entry(&row.service).or_default().insert(instance);
        }
        let (mut points, mut domains) = (Vec::new(), Vec::new());
        let mut places: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for (service, instances) in &instances {
            for instance in instances {
                places.insert((*service, *instance), (n_points + points.len()) as u32);
                domains.push(match instances.len() {
                    1 => format!("service {service}"),
                    _ => format!("service {service} ({instance})"),
                });
                points.push(point(service, instance, (n_domains + points.len()) as u32));
            }
        }
        let place = |row: &SpanRow| {
            let instance = row.instance.as_deref().unwrap_or(&row.service);
            places[&(row.service.as_str(), instance)]
        };
        let of_row = rows.iter().map(place).collect();
        Points { points, domains, of_row, n_before: n_points as u32 }
    }

    /// An end that left spans.
    pub(super) fn end(&self, point: u32) -> Endpoint {
        let at = &self.points[(point - self.n_before) as usize];
        Endpoint {
            host: at.host.clone(),
            netns: String::new(),
            address: made_up(0, u64::from(point) + 1),
            port: 0,
            process: at.process.clone(),
        }
    }

    /// Who was asked and left no span.
    pub(super) fn peer(&self, peer: &Peer) -> Endpoint {
        let name = if peer.name.is_empty() { "unknown" } else { &peer.name };
        let address = peer.address.unwrap_or_else(|| made_up(1, named(name)));
        let port = peer.port.unwrap_or(0);
        Endpoint { host: name.to_string(), netns: String::new(), address, port, process: None }
    }

    /// Who asked and left no span: nobody knows who that is, unless it is a `broker`.
    pub(super) fn caller(&self, caller: &Peer, broker: Option<&Peer>) -> Endpoint {
        match broker {
            Some(broker) => self.peer(broker),
            None => Endpoint {
                host: String::new(),
                netns: String::new(),
                address: caller.address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
                port: caller.port.unwrap_or(0),
                process: None,
            },
        }
    }
}

impl Peer {
    /// From a name that may hold a port, or be an address.
    pub(super) fn named(name: &str, port: Option<u16>) -> Peer {
        let whole: Option<SocketAddr> = name.parse().ok();
        let split = name.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, own) = match split {
            Some((host, port)) if whole.is_some() || !host.contains(':') => (host, Some(port)),
            _ => (name, None),
        };
        let address = whole.map(|whole| whole.ip()).or(host.parse().ok());
        Peer { name: host.to_string(), address, port: own.or(port) }
    }
}

fn point(service: &str, instance: &str, domain: u32) -> Point {
    let process =
        Process { name: service.to_string(), pid: 0, since_ns: 0, container: None, pod: None };
    Point {
        host: instance.to_string(),
        netns: String::new(),
        interface: String::new(),
        process: Some(process),
        domain,
    }
}

fn made_up(kind: u16, number: u64) -> IpAddr {
    let prefix = (0x2001_0db8_u128 << 96) | (u128::from(kind) << 80);
    IpAddr::V6(Ipv6Addr::from_bits(prefix | u128::from(number)))
}

fn named(name: &str) -> u64 {
    crate::fingerprint::fingerprint(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, host: &str, address: Option<&str>, port: Option<u16>) {
        let expected =
            Peer { name: host.into(), address: address.map(|a| a.parse().unwrap()), port };
        assert_eq!(Peer::named(name, Some(1)), expected);
    }

    #[test]
    fn names_addresses_and_ports() {
        check("redis", "redis", None, Some(1));
        check("redis:6379", "redis", None, Some(6379));
        check("10.0.0.1:80", "10.0.0.1", Some("10.0.0.1"), Some(80));
        check("10.0.0.1", "10.0.0.1", Some("10.0.0.1"), Some(1));
        check("fe80::1", "fe80::1", Some("fe80::1"), Some(1));
    }
}
