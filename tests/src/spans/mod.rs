//! How well links are found in a tracer's spans whose references were forgotten: what they were is the truth. Never part of the product.

pub mod application;
pub mod document;
pub mod load;

use crate::score::{Calibration, Links, Share};
use afterpath::analysis::Analysis;
use afterpath::call::Call;
use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::spans::{forget_parents, write};
use afterpath_formats::table::spans::{self, SpanRow};
use anyhow::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// A link that was given wrongly, or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Miss {
    /// Who asked.
    pub service: String,
    /// What it asked.
    pub asked: String,
    /// The tracer's id of the trace.
    pub trace: String,
    /// When it asked, on its own clock.
    pub at_ns: i64,
    /// When the right request came, and how long it took; of a call that nothing caused none.
    pub right: Option<(i64, i64)>,
    /// The same of the request it was given to.
    pub given: Option<(i64, i64)>,
    /// How sure that was.
    pub confidence: f64,
    /// How many were possible.
    pub candidates: u32,
}

/// How one way to link did.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Links from a service's calls to its own requests: of all that were forgotten.
    pub links: Links,
    /// Traces all of whose forgotten links are right, of those that have any.
    pub traces: Share,
    /// Whether the links given are as sure as they say.
    pub calibration: Calibration,
    /// What went wrong.
    pub misses: Vec<Miss>,
}

/// Whether a link is a tracer's own word.
pub fn is_named(call: &Call) -> bool {
    let named = |reason: &String| reason == "parent span id names it";
    call.link.as_ref().is_some_and(|link| link.evidence.iter().any(named))
}

/// Compares what was `linked` with the `whole`, both of the same spans: the links that are named there and not in `open`, which is what the
/// product itself makes of the spans without references. A link given to a call that nothing caused is one that is wrong.
pub fn score(whole: &Analysis, open: &Analysis, linked: &Analysis) -> Score {
    let truth: BTreeMap<u64, &Call> = whole.calls.iter().map(|call| (call.id, call)).collect();
    let mut is_whole: BTreeMap<[u8; 16], bool> = BTreeMap::new();
    let mut score = Score::default();
    for (call, asked) in linked.calls.iter().zip(&open.calls) {
        let Some(true_call) = truth.get(&call.id).filter(|_| !is_named(asked)) else { continue };
        let right = parent(whole, true_call).filter(|_| is_named(true_call));
        let given = parent(linked, call);
        let is_right = right.map(|right| right.id) == given.map(|given| given.id);
        score.links.n_true += u64::from(right.is_some());
        score.links.n_given += u64::from(given.is_some());
        score.links.n_right += u64::from(is_right && given.is_some());
        if let Some(link) = &call.link {
            score.calibration.count(link.confidence, is_right);
        }
        if let Some(tracer) = call.tracer.as_ref().filter(|_| right.is_some()) {
            *is_whole.entry(tracer.trace_id).or_insert(true) &= is_right;
        }
        if !is_right {
            score.misses.push(miss(call, right, given));
        }
    }
    let right = is_whole.values().filter(|right| **right).count() as u64;
    score.traces = Share { right, all: is_whole.len() as u64 };
    score
}

fn parent<'a>(of: &'a Analysis, call: &Call) -> Option<&'a Call> {
    of.calls.get(call.link.as_ref()?.parent as usize)
}

fn miss(call: &Call, right: Option<&Call>, given: Option<&Call>) -> Miss {
    let served = |call: &Call| {
        let times = call.spans.last().map(|span| span.times)?;
        Some((times.first()?, times.duration_ns().unwrap_or(0)))
    };
    Miss {
        service: call.client.process.as_ref().map(|p| p.name.clone()).unwrap_or_default(),
        asked: call.resource.clone(),
        trace: call.tracer.as_ref().map(|tracer| tracer.trace()).unwrap_or_default(),
        at_ns: call.times().first().unwrap_or(0),
        right: right.and_then(served),
        given: given.and_then(served),
        confidence: call.link.as_ref().map_or(0.0, |link| link.confidence),
        candidates: call.link.as_ref().map_or(0, |link| link.candidates),
    }
}

/// All spans of a bundle.
pub fn rows(bundle: &Path) -> Result<Vec<SpanRow>> {
    let bundles = Bundles::open(&[bundle.to_path_buf()])?;
    let mut rows = Vec::new();
    for host in 0..bundles.hosts.len() as u32 {
        for batch in bundles.batches(host, &spans::TABLE) {
            rows.extend(spans::rows(&batch?));
        }
    }
    Ok(rows)
}

/// The same spans in two new bundles in `folder`: whole, and with parents forgotten.
pub fn bundles(mut rows: Vec<SpanRow>, folder: &Path) -> Result<[Bundles; 2]> {
    let [whole, forgotten] = ["whole.afterpath", "forgotten.afterpath"].map(|n| folder.join(n));
    write(rows.clone(), "spans", &whole)?;
    forget_parents(&mut rows);
    write(rows, "spans", &forgotten)?;
    Ok([Bundles::open(&[whole])?, Bundles::open(&[forgotten])?])
}

#[cfg(test)]
mod tests;
