//! Clocks that are wrong: far ahead or behind of the others, set while the recording went on, too fast. They slow nothing, but logs that
//! lie side by side by them tell a wrong order. Never judges clocks that are not aligned.

use crate::align::ClockPair;
use crate::findings::case::Case;
use crate::findings::{Culprit, Finding, Judge, Severity};
use crate::quantity;

/// Its entry in the table of judges.
pub(super) const CLOCKS: Judge =
    Judge { name: "clocks", about: "clocks that are far off, or were set", judge };

/// NTP keeps clocks of one network closer than this.
const FAR_NS: i64 = 5_000_000;

fn judge(case: &Case<'_>) -> Vec<Finding> {
    case.analysis.clocks.pairs.iter().filter_map(|pair| one(case, pair)).collect()
}

fn one(case: &Case<'_>, pair: &ClockPair) -> Option<Finding> {
    let ahead_ns = pair.ahead_ns.unwrap_or(0);
    let bound_ns = pair.bound_ns.unwrap_or(i64::MAX);
    let is_far = ahead_ns.saturating_abs() >= FAR_NS.saturating_add(bound_ns);
    if !is_far && pair.steps == 0 {
        return None;
    }
    let [near, far] = pair.domains;
    let name = |domain: u32| case.analysis.domains.get(domain as usize).map_or("?", String::as_str);
    let point = case.analysis.points.iter().find(|point| point.domain == far);
    let host = point.map_or_else(String::new, |point| point.host.clone());
    let culprit = Culprit::Clock { name: name(far).to_string(), host };
    let word = if ahead_ns < 0 { "behind" } else { "ahead of" };
    let mut said = Vec::new();
    if is_far {
        let apart = quantity::duration(ahead_ns.saturating_abs());
        said.push(format!("is {apart} {word} {}", name(near)));
    }
    if pair.steps > 0 {
        said.push(format!(
            "was set {} while this was recorded",
            quantity::plural(pair.steps.into(), "time")
        ));
    }
    let sentence =
        format!("{} {}: its log lines bear wrong times", culprit.words(), said.join(", and "));
    let class = if pair.steps > 0 { "clock-step" } else { "wrong-clock" };
    let mut finding = case.finding(Severity::Warn, class, culprit, sentence, Vec::new());
    let [forth, back] = pair.matches.map(quantity::count);
    finding.evidence.push(format!(
        "± {} by {forth} matches forth and {back} back; all times shown are corrected by it",
        quantity::known(pair.bound_ns)
    ));
    Some(finding)
}
