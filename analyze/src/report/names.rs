//! Names of services, as good as packets alone give them: the namespace or host an end was located in, with its port
//! where that place serves several, else its address. Never a name two places share.

use crate::call::{Analysis, Call, Endpoint};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The names of one analysis.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Ports each place answers on, by host and namespace.
    ports: BTreeMap<String, BTreeMap<String, BTreeSet<u16>>>,
    /// Hosts on which a namespace of this name was seen.
    hosts: BTreeMap<String, BTreeSet<String>>,
    /// Addresses of clients that no point is near to.
    outside: BTreeSet<IpAddr>,
}

/// More clients than this from outside are one line in tables over edges.
const OUTSIDE: usize = 16;

impl Names {
    /// Learns what serves where.
    pub fn of(analysis: &Analysis) -> Self {
        let mut names = Names::default();
        for point in &analysis.points {
            names.hosts.entry(point.netns.clone()).or_default().insert(point.host.clone());
        }
        for call in &analysis.calls {
            names.learn(&call.server);
            if call.link.is_none() && call.client.host.is_empty() {
                names.outside.insert(call.client.address);
            }
        }
        names
    }

    /// The service that answers at this end.
    pub fn server(&self, end: &Endpoint) -> String {
        if end.host.is_empty() {
            return std::net::SocketAddr::new(end.address, end.port).to_string();
        }
        let ports = self.ports.get(&end.host).and_then(|host| host.get(&end.netns));
        match ports.map_or(0, BTreeSet::len) {
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

    /// [`Names::client`] for tables over edges: many clients from outside are one.
    pub fn caller(&self, analysis: &Analysis, call: &Call) -> String {
        let outside = call.link.is_none() && call.client.host.is_empty();
        match self.outside.len() {
            n if outside && n > OUTSIDE => format!("{n} addresses outside"),
            _ => self.client(analysis, call),
        }
    }

    /// Nearly every call is to a port that is known by then: no name is copied for those.
    fn learn(&mut self, end: &Endpoint) {
        let known = self.ports.get_mut(&end.host).and_then(|host| host.get_mut(&end.netns));
        if let Some(ports) = known {
            ports.insert(end.port);
            return;
        }
        let host = self.ports.entry(end.host.clone()).or_default();
        host.entry(end.netns.clone()).or_default().insert(end.port);
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
    fn many_clients_from_outside_are_one_caller() {
        let mut analysis = sample::shop();
        let mut call = analysis.calls[0].clone();
        call.client.host = String::new();
        for i in 0..17 {
            call.client.address = [192, 0, 2, i].into();
            analysis.calls.push(call.clone());
        }
        let names = Names::of(&analysis);
        assert_eq!(names.caller(&analysis, &call), "17 addresses outside");
        assert_eq!(names.client(&analysis, &call), "192.0.2.16");
    }

    #[test]
    fn the_place_then_the_port_then_the_address() {
        let end = |host: &str, netns: &str, port| Endpoint {
            host: host.into(),
            netns: netns.into(),
            address: [10, 0, 0, 9].into(),
            port,
            process: None,
        };
        check(&end("box", "redis", 6379), "redis");
        check(&end("box", "shop", 8080), "shop:8080");
        check(&end("", "", 5432), "10.0.0.9:5432");
    }
}
