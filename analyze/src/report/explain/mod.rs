//! What happened around a moment: requests in flight, those that were slow, failed or open, stretches that took far longer
//! than usual, packets that were lost, conversations in trouble, losses. Calls of several machines stand by the clock of one, where these are aligned; where
//! not, and of conversations, instants are each point's own, and it says so.

use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::outliers::{Outlier, outliers};
use super::{Ask, Options, Report, calls, instant, json};
use crate::analysis::Analysis;
use crate::call::Call;
use crate::flow::Flow;
use crate::loss::LostPacket;
use crate::measure::{self, Seen};
use crate::names::Names;
use crate::point::Point;
use crate::quantity::{self, Distribution};
pub(in crate::report) use lines::write_loss_lines;
use lines::{FlowLine, OutlierLine};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

mod lines;
mod lost;

/// Its entry in the table of reports.
pub(super) const EXPLAIN: Report = Report {
    name: "explain",
    about: "What happened around an instant: in flight, slow, failed, open, lost",
    asks: Some(&[Ask::Moment, Ask::Selection]),
    write,
};

/// Ordinary calls listed in text; the noteworthy are always all listed.
const ORDINARY: usize = 10;

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let Some((first, last)) = measure::recording(analysis) else {
        return if options.json {
            Ok(())
        } else {
            Ink::new(out, options).line("nothing was recorded")
        };
    };
    let at = options.moment.map_or(first, |m| m.resolve(first, options.zone));
    let window = (at.saturating_sub(options.window_ns), at.saturating_add(options.window_ns));
    let names = Names::of(analysis);
    let around = Around::of(analysis, &names, options, at, window);
    if options.json {
        return around.write_json(analysis, &names, out);
    }
    let mut ink = Ink::new(out, options);
    write_head(&mut ink, analysis, options, at, (first, last))?;
    around.write(&mut ink, analysis, &names, at)?;
    write_losses(&mut ink, analysis)
}

/// Why a call is worth a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Failed,
    Open,
    Slow,
    None,
}

impl Note {
    fn name(self) -> &'static str {
        match self {
            Note::Failed => "failed",
            Note::Open => "open",
            Note::Slow => "slow",
            Note::None => "",
        }
    }
}

struct Around<'a> {
    n_in_flight: usize,
    /// Calls that touch the window, the noteworthy first, then the longest.
    calls: Vec<(Note, Seen, &'a Call)>,
    /// Stretches that began or ended in the window and took far longer than usual.
    outliers: Vec<Outlier<'a>>,
    flows: Vec<(usize, &'a Flow)>,
    /// Packets that were lost or sent again in the window.
    lost: Vec<&'a LostPacket>,
}

impl<'a> Around<'a> {
    fn of(
        analysis: &'a Analysis,
        names: &Names,
        options: &Options,
        at: i64,
        (from, to): (i64, i64),
    ) -> Self {
        let usual = usual(analysis, names);
        let mut calls = Vec::new();
        let mut n_in_flight = 0;
        for call in &analysis.calls {
            let (start, duration) = (start(analysis, call), measure::duration(analysis, call));
            let end = start.saturating_add(duration.ns);
            if start > to || end < from || !options.filter.matches(analysis, names, call) {
                continue;
            }
            n_in_flight += usize::from((start..=end).contains(&at));
            let key =
                (names.server(&call.server), call.protocol.clone(), call.request_type.clone());
            calls.push((note(call, duration, usual.get(&key)), duration, call));
        }
        calls.retain(|(note, ..)| !options.failed || matches!(note, Note::Failed | Note::Open));
        calls.sort_by_key(|(note, duration, call)| (*note == Note::None, -duration.ns, call.id));
        let flows = analysis.flows.iter().enumerate();
        let flows =
            flows.filter(|(_, f)| f.first_ns <= to && f.last_ns >= from && !troubles(f).is_empty());
        let mut outliers = outliers(analysis);
        outliers.retain(|o| {
            let end = o.began_ns.saturating_add(o.took_ns);
            o.began_ns <= to && end >= from && options.filter.matches(analysis, names, o.call)
        });
        let lost = lost::lost(analysis, (from, to));
        Around { n_in_flight, calls, outliers, flows: flows.collect(), lost }
    }

    fn write(
        &self,
        ink: &mut Ink<'_>,
        analysis: &Analysis,
        names: &Names,
        at: i64,
    ) -> io::Result<()> {
        let noteworthy = self.calls.iter().filter(|c| c.0 != Note::None).count();
        ink.line("")?;
        let head = format!(
            "{} in flight at this instant, {} in the window, {} of them slow, failed or open",
            quantity::plural(self.n_in_flight as u64, "call"),
            quantity::count(self.calls.len() as u64),
            quantity::count(noteworthy as u64)
        );
        ink.wrapped("", "  ", &head)?;
        let mut grid = Grid::new(&[
            ("began", Align::Right),
            ("duration", Align::Right),
            ("", Align::Left),
            ("service", Align::Left),
            ("request", Align::Flexible),
            ("status", Align::Left),
            ("trace", Align::Left),
        ]);
        let shown = self.calls.len().min(noteworthy + ORDINARY);
        for (note, duration, call) in &self.calls[..shown] {
            let tone = match note {
                Note::Failed | Note::Open => Tone::Failed,
                Note::Slow => Tone::Slow,
                Note::None => Tone::Plain,
            };
            grid.row([
                (offset(start(analysis, call) - at), Tone::Plain),
                (quantity::seen(*duration), tone),
                (note.name().to_owned(), tone),
                (names.server(&call.server), Tone::Plain),
                (format!("{} {}", call.protocol, measure::request(call)), Tone::Plain),
                (measure::status(call), tone),
                (trace_id(analysis, call), Tone::Plain),
            ]);
        }
        if shown > 0 {
            grid.write(ink, "  ")?;
        }
        if shown < self.calls.len() {
            let rest = (self.calls.len() - shown) as u64;
            ink.line(&format!(
                "  and {} more, shorter and ordinary; --json lists all",
                quantity::plural(rest, "call")
            ))?;
        }
        self.write_outliers(ink, analysis, at)?;
        lost::write(ink, analysis, &self.lost, at)?;
        self.write_flows(ink, analysis)
    }

    fn write_outliers(&self, ink: &mut Ink<'_>, analysis: &Analysis, at: i64) -> io::Result<()> {
        if self.outliers.is_empty() {
            return Ok(());
        }
        ink.line("")?;
        ink.line("stretches that took far longer than they usually do")?;
        let mut grid = Grid::new(&[
            ("began", Align::Right),
            ("took", Align::Right),
            ("usually", Align::Right),
            ("", Align::Left),
            ("stretch", Align::Left),
            ("request", Align::Flexible),
            ("trace", Align::Left),
        ]);
        for o in &self.outliers {
            grid.row([
                (offset(o.began_ns.saturating_sub(at)), Tone::Plain),
                (quantity::duration(o.took_ns), Tone::Slow),
                (quantity::duration(o.usual_ns), Tone::Plain),
                (o.way.to_string(), Tone::Plain),
                (o.place(analysis), Tone::Slow),
                (format!("{} {}", o.call.protocol, measure::request(o.call)), Tone::Plain),
                (trace_id(analysis, o.call), Tone::Plain),
            ]);
        }
        grid.write(ink, "  ")
    }

    fn write_flows(&self, ink: &mut Ink<'_>, analysis: &Analysis) -> io::Result<()> {
        ink.line("")?;
        if self.flows.is_empty() {
            let none =
                "no conversation alive in the window had retransmissions, resets, stalls or gaps";
            return ink.wrapped("", "  ", none);
        }
        let head =
            "conversations alive in the window that had trouble (counted over their whole life)";
        ink.wrapped("", "  ", head)?;
        let mut grid = Grid::new(&[
            ("point", Align::Left),
            ("conversation", Align::Left),
            ("trouble", Align::Flexible),
        ]);
        for (_, flow) in &self.flows {
            let point =
                analysis.points.get(flow.point as usize).map_or_else(String::new, Point::label);
            let trouble: Vec<_> =
                troubles(flow).iter().map(|(n, what)| format!("{what} {n}")).collect();
            grid.plain([point, format!("{} → {}", flow.client, flow.server), trouble.join(", ")]);
        }
        grid.write(ink, "  ")
    }

    fn write_json(
        &self,
        analysis: &Analysis,
        names: &Names,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for (_, _, call) in &self.calls {
            calls::write_call(analysis, names, call, out)?;
        }
        for outlier in &self.outliers {
            json::line(out, &OutlierLine::of(analysis, outlier))?;
        }
        for (index, flow) in &self.flows {
            let point =
                analysis.points.get(flow.point as usize).map_or_else(String::new, Point::label);
            json::line(out, &FlowLine::of(*index, flow, point))?;
        }
        lost::write_lines(analysis, &self.lost, out)?;
        write_loss_lines(analysis, out)
    }
}

/// p90 and median per service, protocol and request type: what is usual for such a call.
fn usual(analysis: &Analysis, names: &Names) -> BTreeMap<(String, String, String), (i64, i64)> {
    let mut values: BTreeMap<_, Vec<Seen>> = BTreeMap::new();
    for call in &analysis.calls {
        let key = (names.server(&call.server), call.protocol.clone(), call.request_type.clone());
        values.entry(key).or_default().push(measure::duration(analysis, call));
    }
    let both = |v| {
        let d = Distribution::of(v);
        (d.percentile(900).map_or(0, |s| s.ns), d.percentile(500).map_or(0, |s| s.ns))
    };
    values.into_iter().map(|(key, v)| (key, both(v))).collect()
}

/// Slow: at or above the p90 of its kind and at least twice its median.
fn note(call: &Call, duration: Seen, usual: Option<&(i64, i64)>) -> Note {
    match usual {
        _ if call.is_open() => Note::Open,
        _ if call.failed() => Note::Failed,
        Some((p90, p50)) if duration.ns >= *p90 && duration.ns / 2 >= *p50 => Note::Slow,
        _ => Note::None,
    }
}

fn troubles(flow: &Flow) -> Vec<(u64, &'static str)> {
    let [a, b] = &flow.counters;
    let counts = [
        (a.retransmissions + b.retransmissions, "retransmissions"),
        (a.syn_retransmissions + b.syn_retransmissions, "SYN retransmissions"),
        (a.resets + b.resets, "resets"),
        (a.zero_windows + b.zero_windows, "zero windows"),
        (a.out_of_order + b.out_of_order, "out of order"),
        (a.missing_bytes + b.missing_bytes, "bytes not captured"),
    ];
    counts.into_iter().filter(|(n, _)| *n > 0).collect()
}

fn write_head(
    ink: &mut Ink<'_>,
    analysis: &Analysis,
    options: &Options,
    at: i64,
    (first, last): (i64, i64),
) -> io::Result<()> {
    let head = format!(
        "{} ± {}, {} into {} of recording",
        instant::iso(at, options.zone),
        quantity::duration(options.window_ns),
        quantity::duration(at - first),
        quantity::duration(last - first)
    );
    ink.wrapped("", "  ", &head)?;
    if at < first || at > last {
        let range = format!(
            "{} to {}",
            instant::iso(first, options.zone),
            instant::iso(last, options.zone)
        );
        ink.wrapped(
            "",
            "  ",
            &format!("this instant lies outside the recording, which is {range}"),
        )?;
    }
    let stamping: BTreeSet<u32> = analysis.points.iter().map(|point| point.domain).collect();
    let references: BTreeSet<u32> =
        stamping.iter().map(|domain| analysis.clocks.reference(*domain)).collect();
    let reference = references.first().and_then(|domain| analysis.domains.get(*domain as usize));
    match (stamping.len(), references.len(), reference) {
        (0 | 1, ..) => Ok(()),
        (n, 1, Some(reference)) => ink.wrapped(
            "",
            "  ",
            &format!(
                "{n} clocks: calls stand by that of {reference} (`afterpath clocks`: ± how much)"
            ),
        ),
        (n, ..) => ink.wrapped(
            "",
            "  ",
            &format!("{n} clocks that are not aligned: each instant is its own point's"),
        ),
    }
}

/// When a call begins, by the clock of the reference where that is known.
fn start(analysis: &Analysis, call: &Call) -> i64 {
    let own_ns = measure::start(call);
    let domain = call.spans.first().map_or(0, |s| analysis.points[s.point as usize].domain);
    analysis.clocks.by_reference((domain, own_ns)).map_or(own_ns, |at| at.value_ns)
}

fn write_losses(ink: &mut Ink<'_>, analysis: &Analysis) -> io::Result<()> {
    ink.line("")?;
    let lost: Vec<_> = analysis.losses.iter().filter(|loss| !loss.is_other_traffic()).collect();
    if lost.is_empty() {
        return ink.line("lost: nothing in the whole recording");
    }
    ink.line("lost or unused in the whole recording (not located in time)")?;
    let mut grid =
        Grid::new(&[("count", Align::Right), ("cause", Align::Left), ("place", Align::Flexible)]);
    for loss in lost {
        grid.plain([quantity::count(loss.count), loss.cause.clone(), loss.place.clone()]);
    }
    grid.write(ink, "  ")
}

fn offset(ns: i64) -> String {
    if ns >= 0 { format!("+{}", quantity::duration(ns)) } else { quantity::duration(ns) }
}

fn trace_id(analysis: &Analysis, call: &Call) -> String {
    analysis.traces.get(call.trace as usize).map_or_else(String::new, |t| calls::id(t.id))
}
