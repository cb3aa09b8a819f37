//! The report as one page: HTML that needs nothing beside it, made for a browser (`analyze/page/`), with all that it shows inside. Text
//! from the network stands in it only compressed and encoded, and is put into the document as text. Never drops anything silently: where a
//! page holds not every trace, it says so, and everything else in it is of all.

mod detail;
mod embed;
mod flame;
mod heat;
mod map;
mod rows;
mod told;

use super::Zone;
use crate::analysis::Analysis;
use crate::call::{Call, CallIndex, Trace};
use crate::findings::verdict;
use crate::measure;
use crate::names::Names;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// What a page is asked to be.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What it is called: the bundles' names.
    pub title: String,
    /// It holds so many traces at most: the failed and the slow ones first.
    pub most_traces: usize,
    /// Zone of instants.
    pub zone: Zone,
}

/// Version of what is inside.
const SCHEMA: &str = "afterpath.page/1";

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write(analysis: &Analysis, wanted: &Wanted, out: &mut dyn Write) -> io::Result<()> {
    let view = View::of(analysis, wanted);
    let mut page = embed::Page::begin(out)?;
    page.put("head", &view.head(wanted))?;
    for (n, block) in view.held.chunks(rows::BLOCK).enumerate() {
        let traces: Vec<_> = block.iter().map(|trace| detail::of(&view, *trace)).collect();
        page.put(&format!("traces-{n}"), &traces)?;
    }
    page.end()
}

/// What all parts of a page need.
struct View<'a> {
    analysis: &'a Analysis,
    names: Names,
    /// The clock and the begin of the earliest trace: what all instants of the page are counted from.
    begin: Option<(u32, i64)>,
    /// Traces that the page holds, in order of their number.
    held: Vec<u32>,
    verdicts: Vec<verdict::TraceVerdict>,
    /// Per call the packets that it missed, and how long each delayed it.
    missing: BTreeMap<CallIndex, Vec<(usize, i64)>>,
    /// Per call the findings that are about it, by their number, and what each cost its trace.
    concerned: BTreeMap<CallIndex, Vec<(usize, i64)>>,
}

/// All that the page holds but the traces' calls.
#[derive(Serialize)]
struct Head<'a> {
    schema: &'static str,
    program: &'static str,
    title: &'a str,
    /// What all instants are counted from, nanoseconds since 1970; text, as no number of a browser's holds it.
    begin_unix_ns: String,
    /// Minutes that instants are shown ahead of UTC.
    zone_minutes: i32,
    length_ns: i64,
    n_traces: usize,
    /// So many traces are in each part of the data.
    block: usize,
    told: told::Told<'a>,
    map: map::Map,
    hops: heat::Hops,
    traces: Vec<rows::Row<'a>>,
    parts: Vec<detail::PartName>,
    points: Vec<String>,
    flame: flame::Frame,
}

impl<'a> View<'a> {
    fn of(analysis: &'a Analysis, wanted: &Wanted) -> View<'a> {
        let roots = analysis.traces.iter().filter_map(|trace| measure::root(analysis, trace));
        let begins = roots.map(|root| measure::began(analysis, root));
        let verdicts = verdict::of_traces(analysis);
        let mut missing: BTreeMap<CallIndex, Vec<(usize, i64)>> = BTreeMap::new();
        let packets = analysis.lost_packets.iter().enumerate();
        for (number, packet) in packets.filter(|(_, packet)| packet.is_missing()) {
            for (call, ns) in &packet.slowed {
                missing.entry(*call).or_default().push((number, *ns));
            }
        }
        let mut concerned: BTreeMap<CallIndex, Vec<(usize, i64)>> = BTreeMap::new();
        for (number, finding) in analysis.findings.iter().enumerate() {
            for about in &finding.concerned {
                concerned.entry(about.call).or_default().push((number, about.cost_ns));
            }
        }
        View {
            analysis,
            names: Names::of(analysis),
            begin: begins.min_by_key(|(_, at)| *at),
            held: rows::held(analysis, &rows::first(analysis, &verdicts), wanted.most_traces),
            verdicts,
            missing,
            concerned,
        }
    }

    fn head<'b>(&'b self, wanted: &'b Wanted) -> Head<'b> {
        let analysis = self.analysis;
        Head {
            schema: SCHEMA,
            program: concat!("afterpath ", env!("CARGO_PKG_VERSION")),
            title: &wanted.title,
            begin_unix_ns: self.begin.map_or(0, |(_, at)| at).to_string(),
            zone_minutes: wanted.zone.minutes(),
            length_ns: measure::recorded_ns(analysis),
            n_traces: analysis.traces.len(),
            block: rows::BLOCK,
            told: told::of(self),
            map: map::of(self),
            hops: heat::of(self),
            traces: rows::of(self),
            parts: detail::parts(),
            points: analysis.points.iter().map(crate::point::Point::label).collect(),
            flame: flame::of(self),
        }
    }

    /// When a call begins, counted from the page's begin; on its own clock where the two can't be compared.
    fn at_ns(&self, call: &Call) -> i64 {
        let Some(begin) = self.begin else { return 0 };
        let own = measure::began(self.analysis, call);
        match self.analysis.clocks.between(begin, own) {
            Some(since) => since.value_ns,
            None => own.1.saturating_sub(begin.1),
        }
    }

    fn trace(&self, number: u32) -> Option<&'a Trace> {
        self.analysis.traces.get(number as usize)
    }
}
