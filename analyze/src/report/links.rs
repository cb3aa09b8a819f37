//! Which call caused which, how sure that is and why: per service and callee as a table, the least sure ones by name; as JSON every
//! call with its parent. Never leaves a call out because it has none.

use super::calls::{id, link_kind};
use super::grid::{Align, Grid, Tone};
use super::ink::Ink;
use super::{Ask, Options, Report, json};
use crate::analysis::Analysis;
use crate::call::{Call, Link};
use crate::names::Names;
use crate::quantity;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const LINKS: Report = Report {
    name: "links",
    about: "Which call caused which, how sure that is and why",
    asks: Some(&[Ask::Selection]),
    write,
};

/// A link that is less sure than this is doubtful: it is shown by name.
const SURE: f64 = 0.9;
/// So many doubtful links are shown; all are in the JSON.
const MOST_SHOWN: usize = 20;
/// Version of the JSON lines.
const SCHEMA: &str = "afterpath.links/1";

/// The calls of one service to another, in one protocol.
#[derive(Default)]
struct Tally {
    n: u64,
    n_linked: u64,
    n_ambiguous: u64,
    n_doubtful: u64,
    confidence: f64,
    least: Option<f64>,
}

impl Tally {
    fn count(&mut self, link: Option<&Link>) {
        self.n += 1;
        let Some(link) = link else { return };
        self.n_linked += 1;
        self.n_ambiguous += u64::from(link.candidates > 1);
        self.n_doubtful += u64::from(link.confidence < SURE);
        self.confidence += link.confidence;
        self.least = Some(self.least.map_or(link.confidence, |least| least.min(link.confidence)));
    }
}

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::of(analysis);
    let is_chosen = |call: &&Call| {
        (!options.failed || call.failed()) && options.filter.matches(analysis, &names, call)
    };
    let chosen: Vec<&Call> = analysis.calls.iter().filter(is_chosen).collect();
    if options.json {
        return chosen.iter().try_for_each(|call| json::line(out, &line(analysis, &names, call)));
    }
    let mut ink = Ink::new(out, options);
    if chosen.is_empty() {
        return ink.line("no calls match");
    }
    head(&chosen, &mut ink)?;
    table(&chosen, analysis, &names).write(&mut ink, "  ")?;
    doubtful(&chosen, analysis, &names, &mut ink)?;
    ink.line("")?;
    ink.wrapped("", "  ", "Confidence: the probability that the parent is the right one. Ambiguous: two parents or more have 1 % of it at least. Without parent: the call begins a trace. `afterpath trace` shows the reasons of each link.")
}

fn head(chosen: &[&Call], ink: &mut Ink<'_>) -> io::Result<()> {
    let mut all = Tally::default();
    chosen.iter().for_each(|call| all.count(call.link.as_ref()));
    let n_other = chosen.iter().filter(|call| call.no_parent.is_some()).count() as u64;
    let other = match n_other {
        0 => String::new(),
        n => format!(", {n} of them although a request was being served"),
    };
    let mean = match all.n_linked {
        0 => String::new(),
        n => format!(" · mean confidence {:.3}", all.confidence / n as f64),
    };
    ink.wrapped(
        "",
        "  ",
        &format!(
            "{} of {} have a parent{mean} · {} ambiguous · {} less sure than {SURE} · {} without parent{other}",
            quantity::count(all.n_linked),
            quantity::plural(all.n, "call"),
            quantity::count(all.n_ambiguous),
            quantity::count(all.n_doubtful),
            quantity::count(all.n - all.n_linked),
        ),
    )
}

fn table(chosen: &[&Call], analysis: &Analysis, names: &Names) -> Grid {
    let mut tallies: BTreeMap<[String; 3], Tally> = BTreeMap::new();
    for call in chosen {
        let (client, server) = (names.caller(analysis, call), names.server(&call.server));
        let key = [client, server, call.protocol.clone()];
        tallies.entry(key).or_default().count(call.link.as_ref());
    }
    let mut grid = Grid::new(&[
        ("service", Align::Flexible),
        ("calls", Align::Flexible),
        ("protocol", Align::Left),
        ("linked", Align::Right),
        ("without", Align::Right),
        ("ambiguous", Align::Right),
        ("confidence", Align::Right),
        ("least", Align::Right),
    ]);
    for (key, tally) in tallies {
        let share = |n: u64| quantity::share(n as f64, tally.n as f64);
        let mean = (tally.n_linked > 0)
            .then(|| format!("{:.3}", tally.confidence / tally.n_linked as f64));
        let least = tally.least.map(|least| format!("{least:.2}"));
        let doubt = if tally.n_doubtful > 0 { Tone::Slow } else { Tone::Plain };
        let values = [
            (quantity::count(tally.n_linked), Tone::Plain),
            (quantity::count(tally.n - tally.n_linked), Tone::Plain),
            (share(tally.n_ambiguous), Tone::Plain),
            (mean.unwrap_or_else(|| "—".into()), Tone::Plain),
            (least.unwrap_or_else(|| "—".into()), doubt),
        ];
        grid.row(key.into_iter().map(|name| (name, Tone::Plain)).chain(values));
    }
    grid
}

/// The least sure links, by name.
fn doubtful(
    chosen: &[&Call],
    analysis: &Analysis,
    names: &Names,
    ink: &mut Ink<'_>,
) -> io::Result<()> {
    let of_link = |call: &&Call| Some((call.link.as_ref()?.confidence, call.id));
    let mut doubtful: Vec<&Call> = chosen
        .iter()
        .copied()
        .filter(|call| of_link(call).is_some_and(|(confidence, _)| confidence < SURE))
        .collect();
    doubtful.sort_by(|a, b| {
        let [a, b] = [a, b].map(|call| of_link(call).unwrap_or((1.0, 0)));
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    });
    if doubtful.is_empty() {
        return Ok(());
    }
    ink.line("")?;
    let shown = doubtful.len().min(MOST_SHOWN);
    let all = doubtful.len() as u64;
    ink.line(&format!("least sure, {shown} of {}", quantity::count(all)))?;
    for call in &doubtful[..shown] {
        let Some(link) = &call.link else { continue };
        let parent = &analysis.calls[link.parent as usize];
        let text = format!(
            "{:.2} {} {} {} of {} ← {} {} {} · {}",
            link.confidence,
            id(call.id),
            call.request_type,
            call.resource,
            names.caller(analysis, call),
            id(parent.id),
            parent.request_type,
            parent.resource,
            link.evidence.join("; "),
        );
        ink.wrapped("  ", "       ", &text)?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Line<'a> {
    schema: &'static str,
    child: String,
    parent: Option<String>,
    kind: Option<&'static str>,
    /// That this parent, or that none that was recorded, is the right one; null: nothing could have been the parent.
    confidence: Option<f64>,
    candidates: u32,
    evidence: &'a [String],
    service: String,
    callee: String,
    /// What their tracer calls them, where it told of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracer: Option<TracerLine>,
}

#[derive(Serialize)]
struct TracerLine {
    trace_id: String,
    child_span_id: Option<String>,
    parent_span_id: Option<String>,
}

/// The asking end's span of the child, and the answering end's of the parent.
fn tracer(child: &Call, parent: Option<&Call>) -> Option<TracerLine> {
    let of = child.tracer.as_deref()?;
    let own = of.client_span_id.or(of.server_span_id);
    let above = parent.and_then(|parent| parent.tracer.as_deref());
    let above = above.and_then(|tracer| tracer.server_span_id.or(tracer.client_span_id));
    Some(TracerLine {
        trace_id: of.trace(),
        child_span_id: own.map(id),
        parent_span_id: above.map(id),
    })
}

fn line<'a>(analysis: &Analysis, names: &Names, call: &'a Call) -> Line<'a> {
    let (link, none) = (call.link.as_ref(), call.no_parent.as_deref());
    let confidence = link.map(|link| link.confidence).or(none.map(|none| none.confidence));
    let candidates = link.map(|link| link.candidates).or(none.map(|none| none.candidates));
    let evidence = link.map(|link| &link.evidence).or(none.map(|none| &none.evidence));
    let parent = link.map(|link| &analysis.calls[link.parent as usize]);
    Line {
        schema: SCHEMA,
        child: id(call.id),
        parent: parent.map(|parent| id(parent.id)),
        kind: link.map(|link| link_kind(link.kind)),
        confidence,
        candidates: candidates.unwrap_or(0),
        evidence: evidence.map_or(&[], Vec::as_slice),
        service: names.caller(analysis, call),
        callee: names.server(&call.server),
        tracer: tracer(call, parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Tracer;
    use crate::report::sample::shop;

    #[test]
    fn tracers_calls_keep_the_ids_that_they_have_there() {
        let analysis = shop();
        let [mut child, mut parent] = [analysis.calls[1].clone(), analysis.calls[0].clone()];
        assert!(tracer(&child, Some(&parent)).is_none());
        let ids = |client_span_id, server_span_id| {
            Some(Box::new(Tracer { trace_id: [1; 16], client_span_id, server_span_id }))
        };
        (child.tracer, parent.tracer) = (ids(Some(7), Some(8)), ids(None, Some(6)));
        let told = tracer(&child, Some(&parent)).unwrap();
        assert_eq!(told.trace_id, "01".repeat(16));
        assert_eq!(told.child_span_id.as_deref(), Some("0000000000000007"));
        assert_eq!(told.parent_span_id.as_deref(), Some("0000000000000006"));
        assert!(tracer(&child, None).unwrap().parent_span_id.is_none());
    }
}
