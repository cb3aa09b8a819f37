//! Delay alone: of the open requests the one whose delay is the most probable, delays between a service's requests and its calls to
//! another being exponential with a mean of their own (WAP5, WWW 2006). Never looks at threads.

use super::{Baseline, View};
use crate::call::CallIndex;
use std::collections::BTreeMap;
use std::net::SocketAddr;

pub(super) struct Delay;

/// Who is asked, and who asks for whom.
type Pair = (SocketAddr, SocketAddr);

impl Baseline for Delay {
    fn name(&self) -> &'static str {
        "delay"
    }

    fn about(&self) -> &'static str {
        "the open request with the most probable delay, exponential per pair of services (WAP5)"
    }

    fn parents(&self, view: &View<'_>) -> Vec<(CallIndex, CallIndex)> {
        let means = means(view);
        let likelihood = |parent: CallIndex, child: CallIndex| {
            let (pair, delay) = delay(view, parent, child)?;
            let mean = *means.get(&pair)? as f64;
            Some(-delay as f64 / mean - libm::log(mean))
        };
        let best = |child: CallIndex, parents: &[CallIndex]| {
            let likely = parents.iter().filter_map(|&p| Some((likelihood(p, child)?, p)));
            likely.max_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).map(|(_, p)| (child, p))
        };
        view.candidates.iter().filter_map(|c| best(c.child, &c.parents)).collect()
    }
}

/// From a request's arrival to a call, and between whom.
fn delay(view: &View<'_>, parent: CallIndex, child: CallIndex) -> Option<(Pair, i64)> {
    let (asked, _, request_last) = view.beside(parent, child)?;
    Some(((view.callee(parent), view.callee(child)), (asked - request_last).max(0)))
}

/// The mean delay of each pair, from the nearest request before each call.
fn means(view: &View<'_>) -> BTreeMap<Pair, i64> {
    let mut sums: BTreeMap<Pair, (i64, i64)> = BTreeMap::new();
    for candidates in view.candidates {
        let delays = candidates.parents.iter().filter_map(|&p| delay(view, p, candidates.child));
        if let Some((pair, delay)) = delays.min_by_key(|(pair, delay)| (*delay, *pair)) {
            let (sum, n) = sums.entry(pair).or_default();
            (*sum, *n) = (*sum + delay, *n + 1);
        }
    }
    sums.into_iter().map(|(pair, (sum, n))| (pair, (sum / n).max(1))).collect()
}
