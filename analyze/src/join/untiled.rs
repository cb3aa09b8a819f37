//! What sockets and packets don't say alike: calls on a connection that both recorded, of which one side shows nothing. Never a
//! connection that only one of them knows.

use crate::call::Call;
use crate::flow::FlowIndex;
use crate::loss::Loss;
use crate::point::Point;
use std::collections::{BTreeMap, BTreeSet};

/// Calls whose bytes no packet carries, and calls whose bytes no socket moved, by the point that has them.
pub fn untiled(calls: &[Call], points: &[Point]) -> Vec<Loss> {
    if points.iter().all(|point| point.process.is_none()) {
        return Vec::new();
    }
    let is_process = |point: u32| points[point as usize].process.is_some();
    let both = |call: &&Call| {
        let n = call.spans.iter().filter(|span| is_process(span.point)).count();
        n > 0 && n < call.spans.len()
    };
    let met: BTreeSet<FlowIndex> = calls
        .iter()
        .filter(both)
        .flat_map(|call| call.spans.iter().map(|span| span.flow))
        .collect();
    let mut found: BTreeMap<(String, &str), u64> = BTreeMap::new();
    for call in calls.iter().filter(|call| !both(call)) {
        let Some(span) = call.spans.iter().find(|span| met.contains(&span.flow)) else { continue };
        let cause = match is_process(span.point) {
            true => "call-without-packets",
            false => "call-without-socket",
        };
        *found.entry((points[span.point as usize].label(), cause)).or_default() += 1;
    }
    let loss =
        |((place, cause), count): ((String, &str), u64)| Loss { place, cause: cause.into(), count };
    found.into_iter().map(loss).collect()
}
