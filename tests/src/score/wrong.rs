//! Wrong links, by what became of the right one and by what spoke first for the wrong one. Never excuses any.

use super::{Matching, SURE, is_recorded, links};
use crate::truth::{TrueCall, Truth};
use afterpath::analysis::Analysis;
use afterpath::call::Link;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What became of a right link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// The call itself was not found.
    CallNotFound,
    /// Its parent was not found.
    ParentNotFound,
    /// It was given no parent.
    NoParent,
    /// It has none, and was given one.
    Root,
    /// Two requests got one another's call.
    Exchanged,
    /// Its parent got a third one's such call.
    Circle,
    /// Its parent went without, another has one too many.
    Alone,
}

impl Became {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Became::CallNotFound => "the call was not found",
            Became::ParentNotFound => "its parent was not found",
            Became::NoParent => "given no parent",
            Became::Root => "nothing caused it",
            Became::Exchanged => "two requests got one another's",
            Became::Circle => "three or more requests got one another's",
            Became::Alone => "its request went without",
        }
    }
}

/// Wrong links of one sort.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wrong {
    /// The threading model of whoever issued the call.
    pub model: &'static str,
    /// What became of the right link.
    pub became: Became,
    /// What spoke first for the wrong one.
    pub spoke: &'static str,
    /// Whether its confidence was below 0.9.
    pub said_so: bool,
}

/// How many of each sort.
pub(super) fn wrong(
    analysis: &Analysis,
    truth: &Truth,
    matching: &Matching<'_>,
) -> BTreeMap<Wrong, u64> {
    let (mut sorts, mut others) = (BTreeMap::<Wrong, u64>::new(), Vec::new());
    let calls = truth.requests.iter().flat_map(|request| &request.calls);
    for call in calls.filter(|call| is_recorded(call, analysis)) {
        let model = links::model(&truth.recording.topology, &call.asker);
        let mut count = |became, spoke, said_so| {
            *sorts.entry(Wrong { model, became, spoke, said_so }).or_default() += 1;
        };
        let Some(found) = matching.of(&call.call_id).map(|found| &analysis.calls[found]) else {
            count(Became::CallNotFound, "", true);
            continue;
        };
        let is_doubted = |link: &Option<Link>| link.as_ref().is_none_or(|l| l.confidence <= SURE);
        let Some(parent) = call.parent_call_id.as_deref() else {
            if let Some(link) = &found.link {
                count(Became::Root, spoke(link), is_doubted(&found.link));
            }
            continue;
        };
        match (matching.of(parent), &found.link) {
            (None, link) => count(Became::ParentNotFound, "", is_doubted(link)),
            (_, None) => count(Became::NoParent, "", found.no_parent.is_some()),
            (Some(parent), Some(link)) if parent != link.parent as usize => {
                others.push((call, model, parent, link));
            }
            _ => {}
        }
    }
    let exchanged =
        others.iter().map(|(call, _, parent, link)| (kind(call), *parent, link.parent as usize));
    let exchanged: BTreeSet<(Kind<'_>, usize, usize)> = exchanged.collect();
    for (call, model, parent, link) in &others {
        let (given, spoke, said_so) = (link.parent as usize, spoke(link), link.confidence <= SURE);
        let has_anothers = |(k, _, to): &(Kind<'_>, usize, usize)| *k == kind(call) && to == parent;
        let became = match () {
            () if exchanged.contains(&(kind(call), given, *parent)) => Became::Exchanged,
            () if exchanged.iter().any(has_anothers) => Became::Circle,
            () => Became::Alone,
        };
        *sorts.entry(Wrong { model, became, spoke, said_so }).or_default() += 1;
    }
    sorts
}

/// Who asks, in which protocol, what.
type Kind<'a> = (&'a str, &'a str, &'a str);

fn kind(call: &TrueCall) -> Kind<'_> {
    (&call.asker, &call.protocol, &call.request_type)
}

/// What its first reason is.
fn spoke(link: &Link) -> &'static str {
    let first = link.evidence.first().map_or("", String::as_str);
    let begins = |words: &[&str]| words.iter().any(|word| first.starts_with(word));
    match () {
        () if begins(&["thread", "goroutine", "task"]) => "threads",
        () if begins(&["asked", "had made"]) => "times, counts",
        () if first.contains("reappear") => "words",
        () if first.contains("bytes as a request") => "sizes",
        () if begins(&["same request", "published"]) => "the same request",
        () => "nothing more than for others",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use afterpath::call::LinkKind;

    #[test]
    fn the_first_reason_tells_what_spoke() {
        let check = |evidence: &str, expected: &str| {
            let evidence = vec![evidence.to_string(), "contained, 2 candidates".to_string()];
            let (kind, confidence, candidates) = (LinkKind::Work, 0.5, 2);
            assert_eq!(
                spoke(&Link { parent: 0, kind, confidence, candidates, evidence }),
                expected
            );
        };
        check("thread 7 read nothing else in the 0.1 ms before", "threads");
        check("goroutine 7 ran on thread 3", "threads");
        check("asked 0.1 ms after it was read (7 times the next's weight)", "times, counts");
        check("8123 reappears (7 times the next's weight)", "words");
        check("+22 bytes as a request", "sizes");
        check("same request passed on", "the same request");
        check("contained, 7 candidates", "nothing more than for others");
    }
}
