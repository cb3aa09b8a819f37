//! TCP connections as a network engineer asks for them: per pair of services and observation point the round trips of handshakes, how
//! soon stacks and applications responded, what was sent again or came out of order, closed windows, resets, and how they ended. By
//! DeepFlow's published definitions: see [`crate::flow::Pace`]. Never mixes points: each saw the same connection otherwise.

mod gathered;
mod lines;
mod text;

use super::{Ask, Options, Report};
use crate::analysis::Analysis;
use crate::flow::Latency;
use gathered::Gathered;
use std::io::{self, Write};

/// Its entry in the table of reports.
pub(super) const FLOWS: Report = Report {
    name: "flows",
    about: "TCP connections per point: round trips, responses, what was sent again, how they ended",
    asks: Some(&[Ask::Selection]),
    write,
};

fn write(analysis: &Analysis, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let gathered = Gathered::of(analysis, options);
    match options.json {
        true => lines::write(analysis, &gathered, out),
        false => text::write(&gathered, options, out),
    }
}

/// Times of one kind in several flows.
#[derive(Default)]
struct Times {
    /// Of each flow that has any the mean, nanoseconds.
    means: Vec<i64>,
    /// All together.
    all: Latency,
}

impl Times {
    fn add(&mut self, latency: Latency) {
        self.means.extend(latency.mean_ns());
        self.all.merge(latency);
    }

    /// One that a flow has once at most.
    fn add_one(&mut self, ns: Option<i64>) {
        let mut latency = Latency::default();
        ns.into_iter().for_each(|ns| latency.add(ns));
        self.add(latency);
    }
}
