//! Links counted: of those that are so, how many were given, and of those given, how many are so. Never counts roots: they have none.

use super::Share;
use crate::truth::TrueCall;
use std::fmt;

/// Links of one kind of process.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Links {
    /// Links that are so.
    pub n_true: u64,
    /// Links that were given.
    pub n_given: u64,
    /// Links that are both.
    pub n_right: u64,
}

impl Links {
    pub(super) fn count(&mut self, truth: &TrueCall, given: bool, right: bool) {
        let is_root = truth.parent_call_id.is_none();
        self.n_true += u64::from(!is_root);
        self.n_given += u64::from(given);
        self.n_right += u64::from(right && !is_root);
    }

    /// A call that was not found: its link is missing.
    pub(super) fn missed(&mut self, truth: &TrueCall) {
        self.n_true += u64::from(truth.parent_call_id.is_some());
    }

    /// Adds others.
    pub fn add(&mut self, other: Links) {
        self.n_true += other.n_true;
        self.n_given += other.n_given;
        self.n_right += other.n_right;
    }

    /// Right ones of those that were given.
    pub fn precision(self) -> Share {
        Share { right: self.n_right, all: self.n_given }
    }

    /// Right ones of those that are so.
    pub fn recall(self) -> Share {
        Share { right: self.n_right, all: self.n_true }
    }

    /// The harmonic mean of both, 0 to 1; `None` without any link.
    pub fn f1(self) -> Option<f64> {
        let both = self.n_true + self.n_given;
        (both > 0).then(|| 2.0 * self.n_right as f64 / both as f64)
    }
}

impl fmt::Display for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [precision, recall] = [self.precision(), self.recall()].map(Share::percent);
        let f1 = self.f1().unwrap_or(0.0);
        write!(
            f,
            "precision {precision:6.2} %, recall {recall:6.2} %, F1 {f1:.3} of {}",
            self.n_true
        )
    }
}

/// How whoever issued a call works, by the testbed's topology.
pub(super) fn model(topology: &str, asker: &str) -> &'static str {
    match (topology, asker) {
        (_, "client") => "client",
        ("mesh", "A") => "event loop (Node)",
        ("mesh", "B") | ("shop", "A" | "B") => "thread per request (Python)",
        ("mesh", "C") => "tasks (tokio)",
        ("mesh", "D") | ("shop", "C") => "goroutines (Go)",
        ("mesh", "E") => "pools, hand-off (Java)",
        ("mesh", "F") => "queue's consumer (asyncio)",
        (_, "nats") => "through the queue",
        _ => "gateways, sidecars",
    }
}

/// Whether it works on requests, and does more than to pass them on.
pub(super) fn is_service(model: &str) -> bool {
    !["client", "through the queue", "gateways, sidecars"].contains(&model)
}
