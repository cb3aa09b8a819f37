//! The list of traces: when, how long, how it ended, where the time went. Never leaves one out that was asked for.

use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Ask, Options, Report, calls, instant, json};
use crate::analysis::Analysis;
use crate::call::{Call, Trace};
use crate::measure::{self, Seen};
use crate::names::Names;
use crate::quantity;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const TRACES: Report = Report {
    name: "traces",
    about: "The list of traces: when, how long, how they ended, where the time went",
    asks: Some(&[Ask::Slowest, Ask::Selection]),
    write,
};

const COLUMNS: [(&str, Align); 9] = [
    ("trace", Align::Whole),
    ("start", Align::Whole),
    ("duration", Align::Right),
    ("status", Align::Left),
    ("request", Align::Flexible),
    ("client", Align::Flexible),
    ("calls", Align::Right),
    ("svc", Align::Right),
    ("slowest part", Align::Flexible),
];
/// Left to the JSON where the line is short.
const LEFT_OUT: &[&str] = &["svc", "client", "calls", "start"];
/// Columns that a request or a place needs to be told by.
const TELLS: usize = 16;

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::of(analysis);
    let chosen = chosen(analysis, &names, options);
    if options.json {
        let mut lines = chosen.iter().filter_map(|t| line(analysis, &names, t));
        return lines.try_for_each(|l| json::line(out, &l));
    }
    let mut ink = Ink::new(out, options);
    let mut grid = Grid::new(&COLUMNS).leaving_out(LEFT_OUT, TELLS);
    let digits = id_digits(analysis);
    let lines: Vec<TraceLine> = chosen.iter().filter_map(|t| line(analysis, &names, t)).collect();
    let starts = lines.iter().map(|line| line.start);
    let Some((first, last)) = starts.map(|at| (at, at)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    else {
        return ink.line("no traces match");
    };
    let [first, last] = [first, last].map(|at| instant::date(at, options.zone));
    let several_days = first != last;
    for line in &lines {
        grid.row(cells(line, options, digits, several_days));
    }
    ink.line(&format!(
        "{} of {} · {} {}",
        quantity::plural(lines.len() as u64, "trace"),
        quantity::count(analysis.traces.len() as u64),
        if several_days { format!("{first} to {last}") } else { first },
        options.zone
    ))?;
    grid.write(&mut ink, "")
}

/// The traces asked for, in order of their start, or slowest first. A trace failed when one of its calls did, and meets a
/// filter when one of its calls does.
fn chosen<'a>(analysis: &'a Analysis, names: &Names, options: &Options) -> Vec<&'a Trace> {
    let any = |trace: &Trace, wanted: &dyn Fn(&Call) -> bool| {
        trace.calls.iter().filter_map(|&c| analysis.calls.get(c as usize)).any(wanted)
    };
    let mut chosen: Vec<&Trace> = analysis
        .traces
        .iter()
        .filter(|t| !options.failed || any(t, &Call::failed))
        .filter(|t| {
            options.filter.is_empty() || any(t, &|c| options.filter.matches(analysis, names, c))
        })
        .collect();
    if let Some(n) = options.slowest {
        // A stable sort: equally slow ones stay in order of their start.
        chosen.sort_by_key(|t| std::cmp::Reverse(duration(analysis, t).ns));
        chosen.truncate(n);
    }
    chosen
}

/// As many digits of an id as tell all traces apart, 8 at least: `trace` takes them.
fn id_digits(analysis: &Analysis) -> usize {
    let mut ids: Vec<u64> = analysis.traces.iter().map(|t| t.id).collect();
    ids.sort_unstable();
    let common = |pair: &[u64]| (pair[0] ^ pair[1]).leading_zeros() as usize / 4;
    ids.windows(2).map(common).max().map_or(8, |n| n + 1).clamp(8, 16)
}

fn duration(analysis: &Analysis, trace: &Trace) -> Seen {
    measure::root(analysis, trace)
        .map_or(Seen { ns: 0, at_least: true }, |root| measure::duration(analysis, root))
}

/// One trace as one line, also the head of its waterfall.
#[derive(Debug, Serialize)]
pub(super) struct TraceLine {
    schema: &'static str,
    pub(super) id: String,
    start_unix_ns: String,
    #[serde(skip)]
    pub(super) start: i64,
    duration_ns: i64,
    duration_is_lower_bound: bool,
    #[serde(skip)]
    pub(super) duration: Seen,
    pub(super) protocol: String,
    pub(super) request: String,
    pub(super) status: String,
    pub(super) failed: bool,
    pub(super) n_failed_calls: usize,
    pub(super) client: String,
    pub(super) server: String,
    pub(super) n_calls: usize,
    pub(super) n_spans: usize,
    pub(super) n_points: usize,
    pub(super) n_services: usize,
    n_ambiguous_links: usize,
    pub(super) slowest_part: Option<SlowestLine>,
}

/// Where its time went.
#[derive(Debug, Serialize)]
pub(super) struct SlowestLine {
    pub(super) call: String,
    pub(super) part: &'static str,
    pub(super) place: String,
    pub(super) request: String,
    pub(super) own_ns: i64,
    pub(super) share: Option<f64>,
}

/// What is said of a trace; `None` when its root is missing.
pub(super) fn line(analysis: &Analysis, names: &Names, trace: &Trace) -> Option<TraceLine> {
    let root = measure::root(analysis, trace)?;
    let calls: Vec<&Call> =
        trace.calls.iter().filter_map(|&c| analysis.calls.get(c as usize)).collect();
    let points: BTreeSet<u32> =
        calls.iter().flat_map(|c| c.spans.iter().map(|s| s.point)).collect();
    let services: BTreeSet<String> = calls.iter().map(|c| names.server(&c.server)).collect();
    let duration = measure::duration(analysis, root);
    let n_failed_calls = measure::n_failed(analysis, trace);
    Some(TraceLine {
        schema: "afterpath.traces/1",
        id: calls::id(trace.id),
        start_unix_ns: measure::start(root).to_string(),
        start: measure::start(root),
        duration_ns: duration.ns,
        duration_is_lower_bound: duration.at_least,
        duration,
        protocol: root.protocol.clone(),
        request: measure::request(root),
        status: measure::status(root),
        failed: n_failed_calls > 0,
        n_failed_calls,
        client: names.client(analysis, root),
        server: names.server(&root.server),
        n_calls: calls.len(),
        n_spans: calls.iter().map(|c| c.spans.len()).sum(),
        n_points: points.len(),
        n_services: services.len(),
        n_ambiguous_links: calls
            .iter()
            .filter_map(|c| c.link.as_ref())
            .filter(|l| l.candidates > 1)
            .count(),
        slowest_part: slowest(analysis, names, trace, duration),
    })
}

fn slowest(analysis: &Analysis, names: &Names, trace: &Trace, whole: Seen) -> Option<SlowestLine> {
    let slowest = measure::slowest_part(analysis, trace)?;
    let call = analysis.calls.get(slowest.call as usize)?;
    let hop = call.hops.get(slowest.hop)?;
    Some(SlowestLine {
        call: calls::id(call.id),
        part: hop.part.name(),
        place: measure::part_place(analysis, call, slowest.hop, &names.server(&call.server)),
        request: measure::request(call),
        own_ns: slowest.ns,
        share: (!whole.at_least && whole.ns > 0).then(|| slowest.ns as f64 / whole.ns as f64),
    })
}

fn cells(line: &TraceLine, options: &Options, digits: usize, dated: bool) -> [(String, Tone); 9] {
    let plain = |text: String| (text, Tone::Plain);
    // The two points say what kind of part it is.
    let place = |s: &SlowestLine| match s.place.split_once(' ') {
        Some(("wire" | "forwarding", points)) => points.to_owned(),
        _ => s.place.clone(),
    };
    let slowest = line.slowest_part.as_ref().map_or_else(String::new, |s| {
        let share =
            s.share.map_or_else(|| quantity::duration(s.own_ns), |x| quantity::share(x, 1.0));
        format!("{share} {}", place(s))
    });
    let status = match (line.failed, line.n_failed_calls) {
        (false, _) => line.status.clone(),
        (true, n) if n == line.n_calls => format!("✗ {}", line.status),
        (true, n) => format!("{} ✗{n}", line.status),
    };
    let time = instant::time_of_day(line.start, options.zone)[..12].to_owned();
    let date = if dated { instant::date(line.start, options.zone) + " " } else { String::new() };
    [
        plain(line.id.chars().take(digits).collect()),
        plain(date + &time),
        plain(quantity::seen(line.duration)),
        (status, if line.failed { Tone::Failed } else { Tone::Plain }),
        plain(line.request.clone()),
        plain(line.client.clone()),
        plain(quantity::count(line.n_calls as u64)),
        plain(quantity::count(line.n_services as u64)),
        plain(slowest),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// The list when the second trace begins so much later than the first.
    fn check(later_ns: i64, expected: &[&str]) {
        let mut analysis = sample::shop();
        let root = analysis.traces[1].root as usize;
        let times = &mut analysis.calls[root].spans[0].times;
        for at in [
            &mut times.request_first,
            &mut times.request_last,
            &mut times.response_first,
            &mut times.response_last,
        ] {
            *at = at.map(|ns| ns + later_ns);
        }
        let mut out = Vec::new();
        write(&analysis, &Options::default(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for part in expected {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn each_row_has_its_date_when_there_are_several_days() {
        check(0, &["· 2026-11-22 Z", "  10:14:03."]);
        check(
            48 * 3_600_000_000_000,
            &["· 2026-11-22 to 2026-11-24 Z", "2026-11-22 10:14:03.", "2026-11-24 10:14:0"],
        );
    }
}
