//! One recording → what comparing needs of it: per endpoint, edge and hop how long each call took and in which second, what failed, what it
//! moved; and what its requests' time was made of. Small enough to keep one of every build. Never compares.

use super::conditions::Conditions;
use super::value;
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, Hop, Part, Trace};
use crate::critical;
use crate::measure;
use crate::names::Names;
use crate::point::Point;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Ports from here on are given out by kernels: a server at one of them has another in the next recording (Linux's default range).
const FIRST_EPHEMERAL: u16 = 32_768;

/// What is compared, by names that mean the same in every recording: never an address, a process's number, an ephemeral port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Key {
    /// All calls of one route of a service.
    Endpoint {
        /// The service that answers.
        service: String,
        /// In which protocol.
        protocol: String,
        /// What is asked.
        route: String,
    },
    /// All calls of one service to another.
    Edge {
        /// The service that asks.
        client: String,
        /// The service that answers.
        server: String,
        /// In which protocol.
        protocol: String,
    },
    /// One part of the path of an edge's calls.
    Hop {
        /// The service that asks.
        client: String,
        /// The service that answers.
        server: String,
        /// In which protocol.
        protocol: String,
        /// Which part of a call's duration, by its stable name.
        part: String,
        /// The point that it begins at, without a process's number.
        from: String,
        /// The point that it ends at.
        to: String,
    },
}

impl Key {
    /// The service that answers.
    pub fn server(&self) -> &str {
        match self {
            Key::Endpoint { service: server, .. }
            | Key::Edge { server, .. }
            | Key::Hop { server, .. } => server,
        }
    }

    /// In which protocol.
    pub fn protocol(&self) -> &str {
        match self {
            Key::Endpoint { protocol, .. }
            | Key::Edge { protocol, .. }
            | Key::Hop { protocol, .. } => protocol,
        }
    }
}

/// What was measured of one of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Calls.
    pub n: u64,
    /// Of them failed.
    pub n_failed: u64,
    /// Of them without an answer when the recording ended.
    pub n_open: u64,
    /// Of them begun by nobody that was recorded: a user's.
    pub n_entry: u64,
    /// Bytes asked and answered.
    pub bytes: u64,
    /// How long its calls took, by what was asked: a mixture is compared part by part.
    pub values: BTreeMap<String, Vec<Value>>,
}

/// The second of the recording, counted from its first call, and how long a call took ([`value::of`]).
pub type Value = (u32, u16);

/// What the traces of one entry were made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// Traces that ended.
    pub n: u64,
    /// How long they took together, nanoseconds.
    pub total_ns: i64,
    /// Of that, what each hop was waited for: parts of the paths that made traces as long as they were. What is left was not observed.
    pub parts: BTreeMap<Key, i64>,
}

/// One recording.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// On what machine, under what load, and whether something spoilt it.
    pub conditions: Conditions,
    /// From its first call to its last, nanoseconds.
    pub length_ns: i64,
    /// What was measured.
    pub rows: BTreeMap<Key, Row>,
    /// By the endpoint that traces begin at.
    pub made: BTreeMap<Key, Made>,
}

impl Run {
    /// Of a finished reconstruction.
    pub fn of(analysis: &Analysis, conditions: Conditions) -> Run {
        let names = Names::of(analysis);
        let first = |call: &Call| measure::began(analysis, call);
        let begin = analysis.calls.iter().map(first).min_by_key(|(_, at)| *at);
        let at_ns = |call: &Call| {
            let (Some(begin), own) = (begin, first(call)) else { return 0 };
            let since = analysis.clocks.between(begin, own).map(|since| since.value_ns);
            since.unwrap_or_else(|| own.1.saturating_sub(begin.1)).max(0)
        };
        let mut run = Run { conditions, ..Run::default() };
        for call in &analysis.calls {
            let at_ns = at_ns(call);
            run.length_ns = run.length_ns.max(at_ns);
            run.add(analysis, &names, call, (at_ns / 1_000_000_000) as u32);
        }
        for trace in &analysis.traces {
            run.add_trace(analysis, &names, trace);
        }
        let values = run.rows.values_mut().flat_map(|row| row.values.values_mut());
        values.for_each(|values| values.sort_unstable());
        run
    }

    fn add(&mut self, analysis: &Analysis, names: &Names, call: &Call, second: u32) {
        let ends = Ends::of(analysis, names, call);
        let duration = measure::duration(analysis, call);
        for key in [ends.endpoint(call), ends.edge(call)] {
            let row = self.rows.entry(key).or_default();
            row.count(call);
            if !duration.at_least {
                row.add(call, second, duration.ns);
            }
        }
        for hop in call.hops.iter().filter(|hop| hop.part != Part::Unattributed) {
            let own_ns = measure::own_time(call, hop.part, hop.total_ns);
            let row = self.rows.entry(ends.hop(analysis, call, hop)).or_default();
            row.count(call);
            row.add(call, second, own_ns);
        }
    }

    fn add_trace(&mut self, analysis: &Analysis, names: &Names, trace: &Trace) {
        let Some(root) = measure::root(analysis, trace) else { return };
        let duration = measure::duration(analysis, root);
        if duration.at_least {
            return;
        }
        let entry = Ends::of(analysis, names, root).endpoint(root);
        let made = self.made.entry(entry).or_default();
        made.n += 1;
        made.total_ns = made.total_ns.saturating_add(duration.ns);
        for call in
            trace.calls.iter().filter_map(|index: &CallIndex| analysis.calls.get(*index as usize))
        {
            let ends = Ends::of(analysis, names, call);
            for hop in &call.hops {
                let ns = critical::of_hop(call, hop);
                if ns != 0 && hop.part != Part::Unattributed {
                    let part = made.parts.entry(ends.hop(analysis, call, hop)).or_default();
                    *part = part.saturating_add(ns);
                }
            }
        }
    }

    /// Requests of users.
    pub fn n_requests(&self) -> u64 {
        self.made.values().map(|made| made.n).sum()
    }
}

impl Row {
    fn count(&mut self, call: &Call) {
        self.n += 1;
        self.n_failed += u64::from(call.failed());
        self.n_open += u64::from(call.is_open());
        self.n_entry += u64::from(call.link.is_none());
        let bytes = call.request_bytes.saturating_add(call.response_bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn add(&mut self, call: &Call, second: u32, ns: i64) {
        let asked = asked(call);
        let value = (second, value::of(ns));
        match self.values.get_mut(&asked) {
            Some(values) => values.push(value),
            None => drop(self.values.insert(asked, vec![value])),
        }
    }

    /// The same of another row under the same name.
    pub(super) fn merge(&mut self, other: Row) {
        self.n += other.n;
        self.n_failed += other.n_failed;
        self.n_open += other.n_open;
        self.n_entry += other.n_entry;
        self.bytes = self.bytes.saturating_add(other.bytes);
        for (asked, values) in other.values {
            let known = self.values.entry(asked).or_default();
            known.extend(values);
            known.sort_unstable();
        }
    }
}

/// Who asks and who answers.
struct Ends {
    client: String,
    server: String,
}

impl Ends {
    fn of(analysis: &Analysis, names: &Names, call: &Call) -> Ends {
        Ends {
            client: lasting(names.caller(analysis, call)),
            server: lasting(names.server(&call.server)),
        }
    }

    fn endpoint(&self, call: &Call) -> Key {
        Key::Endpoint {
            service: self.server.clone(),
            protocol: call.protocol.clone(),
            route: asked(call),
        }
    }

    fn edge(&self, call: &Call) -> Key {
        Key::Edge {
            client: self.client.clone(),
            server: self.server.clone(),
            protocol: call.protocol.clone(),
        }
    }

    fn hop(&self, analysis: &Analysis, call: &Call, hop: &Hop) -> Key {
        let role = |at: u16| {
            let span = call.spans.get(usize::from(at));
            let point = span.and_then(|span| analysis.points.get(span.point as usize));
            point.map_or_else(|| "?".to_string(), Point::role)
        };
        Key::Hop {
            client: self.client.clone(),
            server: self.server.clone(),
            protocol: call.protocol.clone(),
            part: hop.part.name().to_string(),
            from: role(hop.from),
            to: role(hop.to),
        }
    }
}

/// `GET /page/{id}`.
fn asked(call: &Call) -> String {
    match call.route.is_empty() {
        true => call.request_type.clone(),
        false => format!("{} {}", call.request_type, call.route).trim().to_string(),
    }
}

/// A service's name without what changes from recording to recording.
fn lasting(name: String) -> String {
    match name.rsplit_once(':').map(|(bare, port)| (bare, port.parse::<u16>())) {
        Some((bare, Ok(port))) if port >= FIRST_EPHEMERAL => format!("{bare}:*"),
        _ => name,
    }
}
