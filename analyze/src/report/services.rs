//! Services as a monitoring page would show them: requests, rate, errors, durations at the point nearest to the server;
//! and who calls whom. Requests still open count as at least so slow; they are never left out.

use super::grid::{Align, Grid, Tone};
use super::hops::{Percentiles, percentiles};
use super::ink::Ink;
use super::{Ask, Options, Report, json};
use crate::analysis::Analysis;
use crate::call::Call;
use crate::measure::{self, Seen};
use crate::names::{Names, Source};
use crate::quantity::{self, Distribution};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const SERVICES: Report = Report {
    name: "services",
    about: "Requests, errors and durations per service; who calls whom",
    asks: Some(&[Ask::Selection]),
    write,
};

/// Some calls.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) n: u64,
    pub(super) n_failed: u64,
    pub(super) n_open: u64,
    pub(super) durations: Vec<Seen>,
    /// Own work that traces waited for, nanoseconds.
    pub(super) own_ns: i64,
}

/// Service and protocol, or client service, server service and protocol.
pub(super) type Tallies = BTreeMap<Vec<String>, Tally>;

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let (services, edges) = tallies(analysis, options);
    let whole = Whole::of(analysis);
    if options.json {
        return write_json(&services, &edges, &whole, out);
    }
    let mut ink = Ink::new(out, options);
    if services.is_empty() {
        return ink.line("no calls match");
    }
    ink.line(&format!("services, over {} of recording", quantity::duration(whole.recorded_ns)))?;
    table(&["service", "protocol"], &services, &whole).write(&mut ink, "  ")?;
    if let Some(sources) = sources(analysis, options) {
        ink.line(&sources)?;
    }
    ink.line("")?;
    ink.line("who calls whom")?;
    table(&["client", "server", "protocol"], &edges, &whole).write(&mut ink, "  ")?;
    ink.line("")?;
    ink.wrapped("", "  ", "Durations: request's first to response's last byte, for a service at the point nearest to it, for an edge nearest to the client. ≥: some requests were still open and may turn out slower. Own: which share of all traces' time is this service's own work, what it waited for left out.")
}

/// What shares are of.
pub(super) struct Whole {
    pub(super) recorded_ns: i64,
    /// Nanoseconds that all traces took.
    pub(super) traces_ns: i64,
}

impl Whole {
    pub(super) fn of(analysis: &Analysis) -> Whole {
        let roots = analysis.traces.iter().filter_map(|trace| measure::root(analysis, trace));
        let each = roots.map(|root| measure::duration(analysis, root).ns.max(0));
        Whole {
            recorded_ns: measure::recorded_ns(analysis),
            traces_ns: each.fold(0, i64::saturating_add),
        }
    }
}

/// Per service, and per edge between two.
pub(super) fn tallies(analysis: &Analysis, options: &Options) -> (Tallies, Tallies) {
    let names = Names::of(analysis);
    let (mut services, mut edges) = (Tallies::new(), Tallies::new());
    for call in analysis.calls.iter() {
        if (options.failed && !call.failed()) || !options.filter.matches(analysis, &names, call) {
            continue;
        }
        let (client, server) = (names.caller(analysis, call), names.server(&call.server));
        let at_server = measure::server_duration(analysis, call);
        let at_client = measure::duration(analysis, call);
        let service = vec![server.clone(), call.protocol.clone()];
        let edge = vec![client, server, call.protocol.clone()];
        for (tally, duration) in [
            (services.entry(service).or_default(), at_server),
            (edges.entry(edge).or_default(), at_client),
        ] {
            let open = call.is_open();
            tally.n += 1;
            tally.n_open += u64::from(open);
            tally.n_failed += u64::from(call.failed() && !open);
            tally.durations.push(duration);
            let own_ns = call.critical.map_or(0, |critical| critical.self_ns);
            tally.own_ns = tally.own_ns.saturating_add(own_ns);
        }
    }
    (services, edges)
}

/// `named by: pod 2 · executable 1 · address 1`, where a recorder saw processes.
fn sources(analysis: &Analysis, options: &Options) -> Option<String> {
    let names = Names::of(analysis);
    let matches = |call: &&Call| {
        (!options.failed || call.failed()) && options.filter.matches(analysis, &names, call)
    };
    let named = analysis
        .calls
        .iter()
        .filter(matches)
        .map(|call| (names.source(&call.server), names.server(&call.server)));
    let mut sources: BTreeMap<Source, BTreeSet<String>> = BTreeMap::new();
    named.for_each(|(source, name)| {
        sources.entry(source).or_default().insert(name);
    });
    let terms = sources.iter().map(|(source, names)| format!("{} {}", source.name(), names.len()));
    let text = format!("  named by: {}", terms.collect::<Vec<_>>().join(" · "));
    names.knows_processes().then_some(text)
}

/// Left to the JSON where the line is short.
const LEFT_OUT: &[&str] = &["p90", "rate", "own", "max"];
/// Columns that a service needs to be told by.
const TELLS: usize = 20;

fn table(keys: &[&'static str], tallies: &Tallies, whole: &Whole) -> Grid {
    let numbers = ["calls", "rate", "errors", "open", "p50", "p90", "p99", "max", "own"];
    let mut columns: Vec<_> = keys.iter().map(|k| (*k, Align::Flexible)).collect();
    columns.extend(numbers.map(|name| (name, Align::Right)));
    let mut grid = Grid::new(&columns).leaving_out(LEFT_OUT, TELLS);
    for (key, tally) in tallies {
        let d = Distribution::of(tally.durations.clone());
        let p = |permille| (quantity::percentile(d.percentile(permille)), Tone::Plain);
        let red = |n: u64| if n > 0 { Tone::Failed } else { Tone::Plain };
        let share = |n: u64| (quantity::share(n as f64, tally.n as f64), red(n));
        let values = [
            (quantity::count(tally.n), Tone::Plain),
            (quantity::rate(tally.n, whole.recorded_ns), Tone::Plain),
            share(tally.n_failed),
            share(tally.n_open),
            p(500),
            p(900),
            p(990),
            (quantity::percentile(d.max()), Tone::Plain),
            (quantity::share(tally.own_ns as f64, whole.traces_ns.max(1) as f64), Tone::Plain),
        ];
        let names = key.iter().map(|k| (k.clone(), Tone::Plain));
        grid.row(names.chain(values));
    }
    grid
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_service: Option<&'a str>,
    service: &'a str,
    protocol: &'a str,
    n_calls: u64,
    per_second: Option<f64>,
    n_failed: u64,
    failed_share: f64,
    n_open: u64,
    open_share: f64,
    duration: Option<Percentiles>,
    /// Own work that traces waited for, and which share it is of all their time; of services only.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_ns: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    own_share: Option<f64>,
}

fn write_json(
    services: &Tallies,
    edges: &Tallies,
    whole: &Whole,
    out: &mut dyn Write,
) -> io::Result<()> {
    let all = services.iter().map(|x| ("afterpath.services/1", x));
    for (schema, (key, tally)) in all.chain(edges.iter().map(|x| ("afterpath.edges/1", x))) {
        let [client @ .., service, protocol] = key.as_slice() else { continue };
        let own_ns = client.is_empty().then_some(tally.own_ns);
        let recorded_ns = whole.recorded_ns;
        json::line(
            out,
            &Line {
                schema,
                client_service: client.first().map(String::as_str),
                service,
                protocol,
                n_calls: tally.n,
                per_second: (recorded_ns > 0).then(|| tally.n as f64 * 1e9 / recorded_ns as f64),
                n_failed: tally.n_failed,
                failed_share: tally.n_failed as f64 / tally.n as f64,
                n_open: tally.n_open,
                open_share: tally.n_open as f64 / tally.n as f64,
                duration: percentiles(&Distribution::of(tally.durations.clone())),
                own_ns,
                own_share: own_ns.map(|ns| ns as f64 / whole.traces_ns.max(1) as f64),
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(service: &str, expected: (u64, u64, u64)) {
        let (services, _) = tallies(&sample::shop(), &Options::default());
        let of = services.iter().filter(|(k, _)| k[0] == service).map(|(_, t)| t);
        let sum = of.fold((0, 0, 0), |s, t| (s.0 + t.n, s.1 + t.n_failed, s.2 + t.n_open));
        assert_eq!(sum, expected, "{service}");
    }

    #[test]
    fn only_what_failed_when_asked_so() {
        let failed = Options { failed: true, ..Options::default() };
        let (services, edges) = tallies(&sample::shop(), &failed);
        let n_failed = sample::shop().calls.iter().filter(|c| c.failed()).count() as u64;
        assert!(n_failed > 0);
        assert_eq!(services.values().map(|t| t.n).sum::<u64>(), n_failed);
        assert_eq!(edges.values().map(|t| t.n).sum::<u64>(), n_failed);
    }

    #[test]
    fn every_call_counts_once() {
        check("redis", (2, 0, 0));
        check("gateway:80", (2, 0, 1));
        check("gateway:8443", (1, 1, 0));
    }
}
