//! Names of services: pod, container or executable where a recorder saw the process, the service where a tracer names it; else, as good as packets alone give them,
//! the namespace or host an end was located in, with its port where that place serves several; else its address. Never a name
//! two places share.

use crate::analysis::Analysis;
use crate::call::Call;
use crate::point::{Endpoint, Process};
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
    /// Names of the processes that answer on a port, by host and namespace.
    processes: BTreeMap<Spot, BTreeMap<u16, BTreeSet<String>>>,
    /// Where a name of a process was seen.
    spots: BTreeMap<String, BTreeSet<Spot>>,
}

/// Host and namespace.
type Spot = (String, String);

/// What a service's name comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Kubernetes' name of the pod.
    Pod,
    /// The container's name, or its id.
    Container,
    /// The process's name.
    Executable,
    /// What its tracer calls it.
    Tracer,
    /// The namespace or host it was located in.
    Place,
    /// Nothing but its address.
    Address,
}

impl Source {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Source::Pod => "pod",
            Source::Container => "container",
            Source::Executable => "executable",
            Source::Tracer => "tracer",
            Source::Place => "place",
            Source::Address => "address",
        }
    }
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
            [&call.client, &call.server].into_iter().for_each(|end| names.learn_process(end));
            if let Some(process) = &call.server.process {
                let place = names.processes.entry(spot(&call.server)).or_default();
                place.entry(call.server.port).or_default().insert(own_name(process).1);
            }
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
        if let Some(name) = self.process(end) {
            let ports = self.processes.get(&spot(end)).into_iter().flatten();
            let several = ports.filter(|(_, names)| names.contains(&name)).count() > 1;
            let name = self.placed(end, name);
            return if several { format!("{name}:{}", end.port) } else { name };
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
            None => match &call.client.process {
                Some(process) => self.placed(&call.client, own_name(process).1),
                None => self.place(&call.client),
            },
        }
    }

    /// What the name of the service that answers at this end comes from.
    pub fn source(&self, end: &Endpoint) -> Source {
        match &end.process {
            Some(process) => own_name(process).0,
            None if end.host.is_empty() => Source::Address,
            None if self.process(end).is_some() => Source::Executable,
            None => Source::Place,
        }
    }

    /// Whether a recorder saw any process.
    pub fn knows_processes(&self) -> bool {
        !self.spots.is_empty()
    }

    /// The name of the process at this end: its own, or that of the only one that answers there.
    fn process(&self, end: &Endpoint) -> Option<String> {
        match &end.process {
            Some(process) => Some(own_name(process).1),
            None if self.processes.is_empty() => None,
            None => {
                let names = self.processes.get(&spot(end))?.get(&end.port)?;
                names.first().filter(|_| names.len() == 1).cloned()
            }
        }
    }

    /// A process's name, with its place where others bear it elsewhere.
    fn placed(&self, end: &Endpoint, name: String) -> String {
        match self.spots.get(&name).map_or(0, BTreeSet::len) {
            0 | 1 => name,
            _ => format!("{}/{name}", self.place(end)),
        }
    }

    fn learn_process(&mut self, end: &Endpoint) {
        if let Some(process) = &end.process {
            self.spots.entry(own_name(process).1).or_default().insert(spot(end));
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
            ("", _) if end.address.is_unspecified() => "unknown".to_owned(),
            ("", _) => end.address.to_string(),
            (host, "") => host.to_owned(),
            (host, netns) if self.hosts.get(netns).is_some_and(|h| h.len() > 1) => {
                format!("{host}/{netns}")
            }
            (_, netns) => netns.to_owned(),
        }
    }
}

fn spot(end: &Endpoint) -> Spot {
    (end.host.clone(), end.netns.clone())
}

/// The best name that a process has by itself.
fn own_name(process: &Process) -> (Source, String) {
    match (&process.pod, &process.container) {
        (Some(pod), _) => (Source::Pod, pod.clone()),
        (None, Some(container)) => (Source::Container, container.clone()),
        (None, None) if process.pid == 0 => (Source::Tracer, process.name.clone()),
        (None, None) => (Source::Executable, process.name.clone()),
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
    fn a_process_names_its_service_and_its_place_where_others_are_called_so() {
        let analysis = sample::recorded();
        let names = Names::of(&analysis);
        let found: BTreeSet<(String, &str)> = analysis
            .calls
            .iter()
            .map(|call| (names.server(&call.server), names.source(&call.server).name()))
            .collect();
        let expected = [
            ("gateway/python3:80", "executable"),
            ("gateway/python3:8443", "executable"),
            ("postgres", "place"),
            ("redis", "place"),
            ("shop/python3:15001", "executable"),
            ("shop/python3:8080", "executable"),
            ("shop/stock-7f", "pod"),
        ];
        assert_eq!(found, expected.map(|(name, source)| (name.to_owned(), source)).into());
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
