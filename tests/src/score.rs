//! Reconstruction against truth: which calls were found, whether their paths are whole, whether their links are right.
//! Never looks at anything but sockets, protocols, order and time to find a call's counterpart.

use crate::truth::{TrueCall, Truth};
use afterpath::call::{Analysis, Call, Point};
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

/// Shares as (right, all).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many were right.
    pub right: u64,
    /// Of how many.
    pub all: u64,
}

impl Share {
    fn count(&mut self, right: bool) {
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
    /// Wrong links that did not say they were ambiguous.
    pub silently_wrong: u64,
    /// Links that said they were ambiguous.
    pub ambiguous: u64,
    /// Requests whose whole tree is right.
    pub whole_traces: Share,
    /// Parents' calls found without any counterpart in the truth.
    pub unexpected: u64,
    /// The first few misses, for people.
    pub misses: Vec<String>,
}

/// Truth call → reconstructed call.
pub struct Matching<'a> {
    calls: BTreeMap<&'a str, usize>,
}

impl<'a> Matching<'a> {
    /// Finds counterparts: calls of one client socket, protocol, request type and resource, in order of time.
    pub fn new(analysis: &Analysis, truth: &'a Truth) -> Matching<'a> {
        type Key = (String, String, String, String);
        let resource = |protocol: &str, resource: &str| match protocol {
            "postgres" => String::new(), // texts differ in how they write parameters
            _ => resource.to_string(),
        };
        let mut reconstructed: BTreeMap<Key, Vec<(i64, usize)>> = BTreeMap::new();
        for (i, call) in analysis.calls.iter().enumerate() {
            let client = SocketAddr::new(call.client.address, call.client.port).to_string();
            let asked_of = resource(&call.protocol, &call.resource);
            let key = (client, call.protocol.clone(), call.request_type.clone(), asked_of);
            let begin = call.times().first().unwrap_or(i64::MAX);
            reconstructed.entry(key).or_default().push((begin, i));
        }
        let mut logged: BTreeMap<Key, Vec<(i64, u32, &TrueCall)>> = BTreeMap::new();
        for call in truth.requests.iter().flat_map(|r| &r.calls) {
            let asked_of = resource(&call.protocol, &call.resource);
            let key = (client_of(call), call.protocol.clone(), call.request_type.clone(), asked_of);
            let place = call.pipeline.map_or(0, |(place, _)| place);
            logged.entry(key).or_default().push((call.t_start_ns, place, call));
        }
        let mut calls = BTreeMap::new();
        for (key, mut true_calls) in logged {
            true_calls.sort_by_key(|(start, place, _)| (*start, *place));
            let Some(candidates) = reconstructed.get_mut(&key) else { continue };
            candidates.sort_unstable();
            calls.extend(pair(&true_calls, candidates));
        }
        Matching { calls }
    }

    /// The counterpart of a true call.
    pub fn of(&self, call_id: &str) -> Option<usize> {
        self.calls.get(call_id).copied()
    }
}

/// The client's end as the analyzer shows it: a unix socket has a made-up address with the low bits of its number.
fn client_of(call: &TrueCall) -> String {
    let unix = call.client.strip_prefix("unix:").and_then(|number| number.parse::<u64>().ok());
    unix.map_or(call.client.clone(), |number| format!("[::1]:{}", (number as u16).max(1)))
}

/// Pairs in order of time; where some are missing, each found call goes to the nearest true start.
fn pair<'a>(logged: &[(i64, u32, &'a TrueCall)], found: &[(i64, usize)]) -> Vec<(&'a str, usize)> {
    if logged.len() == found.len() {
        let pairs = logged.iter().zip(found);
        return pairs.map(|((_, _, call), (_, i))| (call.call_id.as_str(), *i)).collect();
    }
    let (mut pairs, mut n) = (Vec::new(), 0);
    for &(begin, index) in found {
        let distance =
            |n: usize| logged.get(n).map_or(u64::MAX, |(start, ..)| start.abs_diff(begin));
        while n + 1 < logged.len() && distance(n + 1) <= distance(n) {
            n += 1;
        }
        if let Some((_, _, call)) = logged.get(n) {
            pairs.push((call.call_id.as_str(), index));
            n += 1;
        }
    }
    pairs
}

/// Scores a reconstruction.
pub fn score(analysis: &Analysis, truth: &Truth) -> Score {
    let matching = Matching::new(analysis, truth);
    let mut score = Score::default();
    for request in &truth.requests {
        let mut whole = true;
        for call in &request.calls {
            whole &= score_call(&mut score, call, &matching, analysis);
        }
        score.whole_traces.count(whole);
    }
    score.unexpected = (analysis.calls.len() as u64).saturating_sub(score.found.right);
    score
}

fn score_call(
    score: &mut Score,
    truth: &TrueCall,
    matching: &Matching<'_>,
    analysis: &Analysis,
) -> bool {
    let found = matching.of(&truth.call_id);
    score.found.count(found.is_some());
    let Some(index) = found else {
        score
            .miss(format!("not found: {} {} {}", truth.protocol, truth.request_type, truth.client));
        score.paths.count(false);
        return false;
    };
    let call = &analysis.calls[index];
    let points: Vec<&Point> =
        call.spans.iter().map(|s| &analysis.points[s.point as usize]).collect();
    let labels: Vec<String> =
        points.iter().filter(|p| p.process.is_none()).map(|p| label(p)).collect();
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
    if !path_right {
        score.miss(format!("path {labels:?} instead of {:?}", truth.points));
    }
    score_link(score, truth, call, matching, analysis) && path_right
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
    call: &Call,
    matching: &Matching<'_>,
    analysis: &Analysis,
) -> bool {
    let expected = truth.parent_call_id.as_deref().map(|id| matching.of(id));
    let given = call.link.as_ref().map(|l| Some(l.parent as usize));
    let right = expected == given && expected != Some(None);
    let ambiguous = call.link.as_ref().is_some_and(|l| l.candidates > 1);
    score.ambiguous += u64::from(ambiguous);
    score.silently_wrong += u64::from(!right && !ambiguous);
    let kind = format!("{} {}", truth.link, truth.protocol);
    score.links.entry(kind).or_default().count(right);
    if matches!(truth.protocol.as_str(), "redis" | "postgres") {
        score.store_links.count(right);
    }
    if !right && !ambiguous {
        let parent = call.link.as_ref().map(|l| &analysis.calls[l.parent as usize]);
        let shown = parent.map(|p| format!("{} {}", p.request_type, p.resource));
        score.miss(format!(
            "link of {} {} {:016x}: {shown:?}",
            call.request_type, call.resource, call.id
        ));
    }
    right
}

impl Score {
    fn miss(&mut self, what: String) {
        if self.misses.len() < 10 {
            self.misses.push(what);
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, share: Share| {
            writeln!(f, "{name:<28} {:>7.2} %   {} of {}", share.percent(), share.right, share.all)
        };
        row("calls found", self.found)?;
        row("paths whole and in order", self.paths)?;
        if self.ends.all > 0 {
            row("from process to process", self.ends)?;
        }
        for (kind, share) in &self.links {
            row(&format!("links: {kind}"), *share)?;
        }
        row("links: stores together", self.store_links)?;
        row("whole traces", self.whole_traces)?;
        writeln!(f, "{:<28} {}", "links said to be ambiguous", self.ambiguous)?;
        writeln!(f, "{:<28} {}", "wrong and not said so", self.silently_wrong)?;
        writeln!(f, "{:<28} {}", "calls not in the truth", self.unexpected)?;
        self.misses.iter().try_for_each(|miss| writeln!(f, "  miss: {miss}"))
    }
}

/// Forward times between two named points, per call: (call index, nanoseconds).
pub fn forward_times(analysis: &Analysis, from: &str, to: &str) -> Vec<(usize, i64)> {
    let label =
        |call: &Call, i: u16| analysis.points[call.spans[usize::from(i)].point as usize].label();
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
