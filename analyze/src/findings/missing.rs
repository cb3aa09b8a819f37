//! What a recording does not hold that judges would have asked: why they can't say more. Never guesses.

use super::counters::Counters;
use crate::analysis::Analysis;
use crate::call::Call;
use crate::issue::Issue;
use crate::quantity;

/// In words, one line each; none where nothing is missing.
pub fn missing(analysis: &Analysis, counters: &Counters) -> Vec<String> {
    let mut lines = Vec::new();
    let has_packets = analysis.points.iter().any(|point| point.process.is_none());
    let has_sockets = analysis.points.iter().any(|point| point.process.is_some());
    if !has_sockets {
        lines.push("no sockets were recorded: a server's kernel, queues and program are one time, and links are weighed by times".to_string());
    }
    if !has_packets && has_sockets {
        lines.push("no packets were recorded: what lies between two processes is one time, and no loss can be placed".to_string());
    }
    if counters.is_empty() && has_sockets {
        lines.push(
            "no counters were recorded: quotas and full queues can't be told from other waiting"
                .to_string(),
        );
    }
    let domains: std::collections::BTreeSet<u32> =
        analysis.points.iter().map(|point| analysis.clocks.reference(point.domain)).collect();
    if domains.len() > 1 {
        lines.push(format!(
            "the clocks of {} groups of machines can't be compared: nothing was seen to pass between them both ways",
            domains.len()
        ));
    }
    let is_unheard = |call: &&Call| call.issues.contains(&Issue::ResponseMissing);
    let n_unheard = analysis.calls.iter().filter(is_unheard).count();
    if n_unheard > 0 {
        let n = quantity::plural(n_unheard as u64, "request");
        lines.push(format!(
            "the answers of {n} were not captured: how they ended, and when, is not known"
        ));
    }
    let is_in_flight = |call: &&Call| call.issues.contains(&Issue::InFlight);
    let n_in_flight = analysis.calls.iter().filter(is_in_flight).count();
    if n_in_flight > 0 {
        let n = quantity::plural(n_in_flight as u64, "request");
        lines
            .push(format!("{n} in flight when the recording ended: how that went on is not known"));
    }
    lines
}
