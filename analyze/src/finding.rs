//! What judges find: how bad it is, whose it was, what shows it, what it cost. Plain data; never judges.

use crate::call::CallIndex;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing, nothing to mend.
    Pass,
    /// Unusual, or a cost that may be meant.
    Warn,
    /// Requests failed or were slow for this.
    Fail,
}

impl Severity {
    /// A failure if it is much, else a warning.
    pub(crate) fn of(is_much: bool) -> Severity {
        if is_much { Severity::Fail } else { Severity::Warn }
    }

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Pass => "pass",
            Severity::Warn => "warn",
            Severity::Fail => "fail",
        }
    }
}

/// Whose it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Culprit {
    /// A service, by its name in all reports, and the namespace or host it was located in.
    Service {
        /// Name.
        name: String,
        /// Place; empty where it was not located.
        place: String,
    },
    /// What lies between two observation points: a network, or the inside of the place that both stand in.
    Stretch {
        /// Label of the point before.
        from: String,
        /// Label of the point behind; empty: what lies behind the last one.
        to: String,
        /// The namespace or host that both stand in; empty: they stand in two.
        place: String,
    },
    /// A machine's clock, by the name of the clock, and the machine.
    Clock {
        /// Clock domain.
        name: String,
        /// Host.
        host: String,
    },
    /// The recording itself, at a host or file.
    Recording {
        /// Where.
        place: String,
    },
}

impl Culprit {
    /// In words: `service-c`, `l4gw/eth0 → l4gw/eth1 (inside l4gw)`.
    pub fn words(&self) -> String {
        match self {
            Culprit::Service { name, place } if place.is_empty() || name.contains(place) => {
                name.clone()
            }
            Culprit::Service { name, place } => format!("{name} in {place}"),
            Culprit::Stretch { from, to, .. } if to.is_empty() => format!("behind {from}"),
            Culprit::Stretch { from, to, place } if place.is_empty() => format!("{from} → {to}"),
            Culprit::Stretch { from, to, place } => format!("{place} ({from} → {to})"),
            Culprit::Clock { name, host } => format!("{name} of {host}"),
            Culprit::Recording { place } => format!("the recording at {place}"),
        }
    }
}

/// A call that a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concerned {
    /// The call.
    pub call: CallIndex,
    /// What it cost the call's trace, nanoseconds on the path that made it as long as it was.
    pub cost_ns: i64,
    /// The call failed for it.
    pub failed: bool,
}

impl Concerned {
    /// A call that took longer for it.
    pub(crate) fn slowed(call: CallIndex, cost_ns: i64) -> Concerned {
        Concerned { call, cost_ns, failed: false }
    }
}

/// What traces would have taken without what a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhatIf {
    /// The 99th percentile of all traces that begin as those concerned do, nanoseconds …
    pub p99_ns: i64,
    /// … and without it.
    pub without_ns: i64,
}

/// One judge's finding about one culprit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The judge, by its stable name.
    pub judge: String,
    /// How bad.
    pub severity: Severity,
    /// What sort of trouble it is, by a stable name: `stood-still`, `packets-lost` …
    pub class: String,
    /// Whose.
    pub culprit: Culprit,
    /// What happened, in a sentence.
    pub sentence: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// The calls that it is about, in order.
    pub concerned: Vec<Concerned>,
    /// Traces that became longer, or failed, for it.
    pub n_traces: u64,
    /// Traces that failed for it, themselves or in part.
    pub n_failed: u64,
    /// Sum of what it cost, nanoseconds.
    pub cost_ns: i64,
    /// What would have been without.
    pub what_if: Option<WhatIf>,
}
