//! What the pipeline adds to calls and traces behind the hops. Never used outside tests.

use crate::analysis::Analysis;
use crate::findings::counters::Counters;
use crate::{critical, findings, hops};

/// With the paths of its traces, and what judges say of it.
pub(crate) fn judged(mut analysis: Analysis) -> Analysis {
    let children = hops::children(&analysis.calls);
    let given = critical::Given::of(&analysis, &children);
    let found: Vec<_> =
        analysis.traces.iter().flat_map(|t| critical::critical(&given, t)).collect();
    for (call, critical) in found {
        analysis.calls[call as usize].critical = Some(critical);
    }
    let counters = Counters::default();
    analysis.findings = findings::findings(&analysis, &counters);
    analysis.missing = findings::missing(&analysis, &counters);
    analysis
}
