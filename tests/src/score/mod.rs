//! Reconstruction against truth: which calls were found, whether their paths are whole, whether their links are right, how
//! far confidence and times are from what is so. Never tunes anything.

mod calibration;
mod clocks;
pub mod hops;
mod links;
pub mod lost;
mod markdown;
mod matching;
pub mod table;
mod verdict;
mod wrong;

pub use calibration::Calibration;
pub use clocks::ClockScore;
pub use links::Links;
pub use lost::LossScore;
pub use matching::Matching;
pub use verdict::VerdictScore;
pub use wrong::{Became, Wrong};

use crate::truth::{Delay, TrueCall, Truth};
use afterpath::analysis::Analysis;
use afterpath::call::{Call, SpanAt};
use afterpath::link::Evidence;
use afterpath::pipeline::Config;
use afterpath::point::Point;
use afterpath::protocol::IdFields;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Shares as (right, all).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Share {
    /// How many were right.
    pub right: u64,
    /// Of how many.
    pub all: u64,
}

impl Share {
    pub(crate) fn count(&mut self, right: bool) {
        self.right += u64::from(right);
        self.all += 1;
    }

    /// The share in percent; 0 of 0 is none, never perfect.
    pub fn percent(self) -> f64 {
        if self.all == 0 { 0.0 } else { 100.0 * self.right as f64 / self.all as f64 }
    }
}

/// The scores of one recording.
#[derive(Debug, Default)]
pub struct Score {
    /// True calls that passed no point that was recorded: nothing of them could be found, and nothing is counted.
    pub not_recorded: u64,
    /// True calls that have a counterpart.
    pub found: Share,
    /// True calls whose points are all there, in order, and no others.
    pub paths: Share,
    /// Found calls that begin at the client's process and end at the server's, of the right programs; of recordings that know
    /// processes.
    pub ends: Share,
    /// Links by `kind protocol`: right parent.
    pub links: BTreeMap<String, Share>,
    /// Links to redis and postgres calls.
    pub store_links: Share,
    /// Wrong links that did not say they were ambiguous: no other parent was at all probable.
    pub silently_wrong: u64,
    /// Links that are wrong and surer of themselves than [`SURE`], or missing: more than those.
    pub surely_wrong: u64,
    /// Links that said they were ambiguous.
    pub ambiguous: u64,
    /// Requests whose whole tree is right.
    pub whole_traces: Share,
    /// Links by the threading model of whoever issued the call.
    pub models: BTreeMap<&'static str, Links>,
    /// Confidence against what is so, over all links that were given.
    pub calibration: Calibration,
    /// The same over those with two candidates and more.
    pub doubtful: Calibration,
    /// Points that true calls crossed: how many are shown, in order.
    pub taps: Share,
    /// Duration of a call at its client, shown minus logged, nanoseconds; of services and the load only.
    pub duration_errors_ns: Vec<i64>,
    /// Time inside a service from request to answer, shown minus logged.
    pub serving_errors_ns: Vec<i64>,
    /// A hop across which a packet was held, shown minus logged.
    pub hold_errors_ns: Vec<i64>,
    /// How far outside of what the relay logged that lies.
    pub hold_outside_ns: Vec<i64>,
    /// What is said of clocks that are wrong.
    pub clocks: Option<ClockScore>,
    /// What is said of packets that were dropped.
    pub losses: Option<LossScore>,
    /// Who was blamed.
    pub verdict: Option<VerdictScore>,
    /// Calls of the truth's protocols that have no counterpart in it.
    pub unexpected: u64,
    /// Links that are missing or wrong, by sort.
    pub wrong: BTreeMap<Wrong, u64>,
    /// The first few misses, for people.
    pub misses: Vec<String>,
}

/// Whoever is less sure than that says so.
pub(crate) const SURE: f64 = 0.9;

/// The name of our own linker, beside those of the baselines.
pub const OURS: &str = "afterpath";

/// Planted ids masked: the scores are for what is known without them.
pub const MASKED: Config =
    Config { evidence: Evidence::WITHOUT_IDS, baseline: None, id_fields: IdFields::BUILT_IN };

/// Scores a reconstruction.
pub fn score(analysis: &Analysis, truth: &Truth) -> Score {
    let matching = Matching::new(analysis, truth);
    let mut score = Score::default();
    for request in &truth.requests {
        let mut whole = true;
        for call in &request.calls {
            if !is_recorded(call, analysis) {
                score.not_recorded += 1;
                continue;
            }
            whole &= score_call(&mut score, call, &truth.recording.topology, &matching, analysis);
        }
        score.whole_traces.count(whole);
    }
    for (delay, shown_ns) in held(analysis, truth, &matching) {
        score.hold_errors_ns.push(shown_ns - delay.hold_ns);
        score.hold_outside_ns.push(delay.outside_ns(shown_ns));
    }
    score.clocks = clocks::clocks(analysis, truth);
    score.losses = Some(lost::losses(analysis, truth));
    score.verdict = Some(verdict::blame(analysis, truth));
    score.wrong = wrong::wrong(analysis, truth, &matching);
    let known: BTreeSet<&str> = truth
        .requests
        .iter()
        .flat_map(|request| &request.calls)
        .map(|call| call.protocol.as_str())
        .collect();
    let is_known = |call: &&Call| known.contains(call.protocol.as_str());
    let n_known = analysis.calls.iter().filter(is_known).count() as u64;
    score.unexpected = n_known.saturating_sub(score.found.right);
    score
}

/// Whether a call passed any point: sockets see all, packets none of unix sockets.
pub fn is_recorded(call: &TrueCall, analysis: &Analysis) -> bool {
    call.kind != "unix" || analysis.points.iter().any(|point| point.process.is_some())
}

/// What hops show of packets that were held.
fn held<'a>(
    analysis: &Analysis,
    truth: &'a Truth,
    matching: &Matching<'_>,
) -> Vec<(&'a Delay, i64)> {
    let mut hops: BTreeMap<&(String, String), BTreeMap<usize, i64>> = BTreeMap::new();
    let mut held = Vec::new();
    for delay in &truth.delays {
        let here = hops.entry(&delay.between).or_insert_with(|| {
            let (from, to) = &delay.between;
            forward_times(analysis, from, to).into_iter().collect()
        });
        let call = delay.call_id.as_deref().and_then(|id| matching.of(id));
        let shown = call.and_then(|call| here.get(&call));
        held.extend(shown.map(|&shown_ns| (delay, shown_ns)));
    }
    held
}

fn score_call(
    score: &mut Score,
    truth: &TrueCall,
    topology: &str,
    matching: &Matching<'_>,
    analysis: &Analysis,
) -> bool {
    let found = matching.of(&truth.call_id);
    score.found.count(found.is_some());
    let Some(index) = found else {
        score
            .miss(format!("not found: {} {} {}", truth.protocol, truth.request_type, truth.client));
        score.paths.count(false);
        score.taps.all += truth.points.len() as u64;
        score.models.entry(links::model(topology, &truth.asker)).or_default().missed(truth);
        return false;
    };
    let call = &analysis.calls[index];
    let points: Vec<&Point> =
        call.spans.iter().map(|s| &analysis.points[s.point as usize]).collect();
    // What only the response passed is no point of the request's way, which the truth tells.
    let crossed = |(point, span): &(&&Point, &SpanAt)| {
        let is_request = span.times.request_first.is_some();
        point.process.is_none() && (is_request || call.times().request_first.is_none())
    };
    let each = points.iter().zip(&call.spans);
    let labels: Vec<String> = each.filter(crossed).map(|(point, _)| label(point)).collect();
    if analysis.points.iter().any(|point| point.process.is_some()) {
        let name = |point: Option<&&Point>| Some(point?.process.as_ref()?.name.clone());
        let ends = name(points.first()).zip(name(points.last()));
        let is_whole = points.len() > 1
            && ends.is_some()
            && truth.programs.as_ref().is_none_or(|programs| ends.as_ref() == Some(programs));
        score.ends.count(is_whole);
        if !is_whole {
            let shown: Vec<String> = points.iter().map(|point| point.label()).collect();
            score.miss(format!(
                "a process is missing: {} {}: {shown:?}",
                call.request_type, call.resource
            ));
        }
    }
    let path_right = labels == truth.points;
    score.paths.count(path_right);
    score.taps.right += in_order(&labels, &truth.points);
    score.taps.all += truth.points.len() as u64;
    score.times(truth, call, analysis);
    if !path_right {
        score.miss(format!("path {labels:?} instead of {:?}", truth.points));
    }
    score_link(score, truth, topology, call, matching, analysis) && path_right
}

/// Of each point that a call passed the process's name, or the interface's.
pub fn place_names(analysis: &Analysis, call: &Call) -> Vec<String> {
    let points = call.spans.iter().map(|span| &analysis.points[span.point as usize]);
    let name = |point: &Point| match &point.process {
        Some(process) => process.name.clone(),
        None => point.interface.clone(),
    };
    points.map(name).collect()
}

/// A point as the truth names it. A recorder sees the names that namespaces really have.
fn label(point: &Point) -> String {
    let label = point.label();
    label.strip_prefix("ap-").map_or(label.clone(), str::to_string)
}

fn score_link(
    score: &mut Score,
    truth: &TrueCall,
    topology: &str,
    call: &Call,
    matching: &Matching<'_>,
    analysis: &Analysis,
) -> bool {
    let expected = truth.parent_call_id.as_deref().map(|id| matching.of(id));
    let given = call.link.as_ref().map(|l| Some(l.parent as usize));
    let right = expected == given && expected != Some(None);
    let ambiguous = call.link.as_ref().is_some_and(|l| l.candidates > 1);
    score.ambiguous += u64::from(ambiguous);
    let is_sure = call.link.as_ref().is_none_or(|link| link.confidence > SURE);
    score.silently_wrong += u64::from(!right && !ambiguous);
    score.surely_wrong += u64::from(!right && is_sure);
    score.models.entry(links::model(topology, &truth.asker)).or_default().count(
        truth,
        given.is_some(),
        right,
    );
    if let Some(link) = &call.link {
        score.calibration.count(link.confidence, right);
        if ambiguous {
            score.doubtful.count(link.confidence, right);
        }
    }
    let kind = format!("{} {}", truth.link, truth.protocol);
    score.links.entry(kind).or_default().count(right);
    if matches!(truth.protocol.as_str(), "redis" | "postgres") {
        score.store_links.count(right);
    }
    if !right && is_sure {
        let parent = call.link.as_ref().map(|l| &analysis.calls[l.parent as usize]);
        let shown = parent.map(|p| format!("{} {}", p.request_type, p.resource));
        score.miss(format!(
            "link of {} {} {:016x}: {shown:?}",
            call.request_type, call.resource, call.id
        ));
    }
    right
}

/// How many of `expected` are shown, in order: the longest common subsequence.
fn in_order(shown: &[String], expected: &[String]) -> u64 {
    let mut lengths = vec![0_u64; expected.len() + 1];
    for point in shown {
        let mut diagonal = 0;
        for (i, other) in expected.iter().enumerate() {
            let above = lengths[i + 1];
            lengths[i + 1] = if point == other { diagonal + 1 } else { above.max(lengths[i]) };
            diagonal = above;
        }
    }
    lengths[expected.len()]
}

impl Score {
    /// Times that only a process can tell, of calls that it logged itself.
    fn times(&mut self, truth: &TrueCall, call: &Call, analysis: &Analysis) {
        let at_process = |span: Option<&afterpath::call::SpanAt>| {
            let span = span.filter(|s| analysis.points[s.point as usize].process.is_some())?;
            Some(span.times)
        };
        let logged = truth.t_end_ns - truth.t_start_ns;
        if let Some(times) = at_process(call.spans.first()).filter(|_| truth.t_resolution_ns == 0) {
            let answered = truth.protocol != "nats";
            let shown = times.duration_ns().filter(|_| answered);
            self.duration_errors_ns.extend(shown.map(|shown| shown - logged));
        }
        if let Some((read, answered)) = truth.served
            && let Some(times) = at_process(call.spans.last())
        {
            let shown = times.latency_ns();
            self.serving_errors_ns.extend(shown.map(|shown| shown - (answered - read)));
        }
    }

    fn miss(&mut self, what: String) {
        if self.misses.len() < 10 {
            self.misses.push(what);
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, name: &str, share: Share| {
            writeln!(f, "{name:<28} {:>7.2} %   {} of {}", share.percent(), share.right, share.all)
        };
        if self.not_recorded > 0 {
            writeln!(f, "{:<28} {}", "calls that were not recorded", self.not_recorded)?;
        }
        row(f, "calls found", self.found)?;
        row(f, "paths whole and in order", self.paths)?;
        if self.ends.all > 0 {
            row(f, "from process to process", self.ends)?;
        }
        for (kind, share) in &self.links {
            row(f, &format!("links: {kind}"), *share)?;
        }
        row(f, "links: stores together", self.store_links)?;
        for (model, links) in &self.models {
            writeln!(f, "{:<28} {links}", format!("by {model}"))?;
        }
        row(f, "whole traces", self.whole_traces)?;
        row(f, "points shown, in order", self.taps)?;
        writeln!(f, "{:<28} {}", "links said to be ambiguous", self.ambiguous)?;
        writeln!(f, "{:<28} {}", "wrong and not said so", self.silently_wrong)?;
        writeln!(f, "{:<28} {}", "wrong and surer than 0.9", self.surely_wrong)?;
        writeln!(f, "{:<28} {}", "calls not in the truth", self.unexpected)?;
        self.misses.iter().try_for_each(|miss| writeln!(f, "  miss: {miss}"))
    }
}

/// Forward times between two named points, per call: (call index, nanoseconds).
pub fn forward_times(analysis: &Analysis, from: &str, to: &str) -> Vec<(usize, i64)> {
    let label =
        |call: &Call, i: u16| label(&analysis.points[call.spans[usize::from(i)].point as usize]);
    let mut times = Vec::new();
    for (index, call) in analysis.calls.iter().enumerate() {
        for hop in call.hops.iter().filter(|h| h.part.is_leg()) {
            if let Some(forward_ns) = hop.forward_ns
                && label(call, hop.from) == from
                && label(call, hop.to) == to
            {
                times.push((index, forward_ns));
            }
        }
    }
    times
}
