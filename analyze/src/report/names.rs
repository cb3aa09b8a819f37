//! Names of services, as good as packets alone give them: the namespace or host an end was located in, with its port
//! where that place serves several, else its address. Never a name two places share.

use crate::call::{Analysis, Call, Endpoint};
use std::collections::{BTreeMap, BTreeSet};

/// The names of one analysis.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Ports each place answers on.
    ports: BTreeMap<(String, String), BTreeSet<u16>>,
    /// Hosts on which a namespace of this name was seen.
    hosts: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// Learns what serves where.
    pub fn of(analysis: &Analysis) -> Self {
        let mut names = Names::default();
        for point in &analysis.points {
            names.hosts.entry(point.netns.clone()).or_default().insert(point.host.clone());
        }
        for call in &analysis.calls {
            let place = (call.server.host.clone(), call.server.netns.clone());
            names.ports.entry(place).or_default().insert(call.server.port);
        }
        names
    }

    /// The service that answers at this end.
    pub fn server(&self, end: &Endpoint) -> String {
        if end.host.is_empty() {
            return std::net::SocketAddr::new(end.address, end.port).to_string();
        }
        let place = (end.host.clone(), end.netns.clone());
        match self.ports.get(&place).map_or(0, BTreeSet::len) {
            0 | 1 => self.place(end),
            _ => format!("{}:{}", self.place(end), end.port),
        }
    }

    /// Who made this call: the service whose request caused it, else the place it came from.
    pub fn client(&self, analysis: &Analysis, call: &Call) -> String {
        let parent = call.link.as_ref().and_then(|l| analysis.calls.get(l.parent as usize));
        match parent {
            Some(parent) => self.server(&parent.server),
            None => self.place(&call.client),
        }
    }

    fn place(&self, end: &Endpoint) -> String {
        match (end.host.as_str(), end.netns.as_str()) {
            ("", _) => end.address.to_string(),
            (host, "") => host.to_owned(),
            (host, netns) if self.hosts.get(netns).is_some_and(|h| h.len() > 1) => {
                format!("{host}/{netns}")
            }
            (_, netns) => netns.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(end: &Endpoint, expected: &str) {
        assert_eq!(Names::of(&sample::shop()).server(end), expected);
    }

    #[test]
    fn the_place_then_the_port_then_the_address() {
        let end = |host: &str, netns: &str, port| Endpoint {
            host: host.into(),
            netns: netns.into(),
            address: [10, 0, 0, 9].into(),
            port,
        };
        check(&end("box", "redis", 6379), "redis");
        check(&end("box", "shop", 8080), "shop:8080");
        check(&end("", "", 5432), "10.0.0.9:5432");
    }
}
