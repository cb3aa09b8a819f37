//! Reports: one file each, one line each in [`REPORTS`]. Pure text and JSON Lines to a passed writer; never opens a file,
//! reads a clock, asks a terminal, or lets text from the network through as it came.

use crate::analysis::Analysis;
use std::io::{self, Write};

pub mod calls;
mod clocks;
pub mod diff;
mod explain;
mod fields;
pub mod filter;
mod findings;
mod flows;
mod grid;
pub mod harmless;
mod hops;
mod ink;
pub mod instant;
mod json;
mod links;
mod outliers;
pub mod page;
mod services;
pub mod summary;
pub mod tables;
mod timeline;
mod traces;
pub mod waterfall;

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(crate) mod sample;

pub use filter::Filter;
pub use instant::{Moment, Zone};

/// One report.
pub struct Report {
    /// Subcommand, golden file and help entry.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// What its command takes beside bundles; `None`: it belongs to another command.
    pub asks: Option<&'static [Ask]>,
    /// Writes it.
    pub write: fn(&Analysis, &Options, &mut dyn Write) -> io::Result<()>,
}

/// What may be asked of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Only some calls: [`Options::failed`], [`Options::filter`].
    Selection,
    /// [`Options::slowest`].
    Slowest,
    /// [`Options::trace`], [`Options::verbose`].
    Trace,
    /// [`Options::moment`], [`Options::window_ns`].
    Moment,
    /// [`Options::for_service`].
    Service,
}

/// Every report.
pub const REPORTS: &[Report] = &[
    summary::SUMMARY,
    traces::TRACES,
    waterfall::TRACE,
    hops::HOPS,
    services::SERVICES,
    flows::FLOWS,
    links::LINKS,
    findings::FINDINGS,
    clocks::CLOCKS,
    explain::EXPLAIN,
    calls::CALLS,
];

/// The report of this name.
pub fn named(name: &str) -> Option<&'static Report> {
    REPORTS.iter().find(|r| r.name == name)
}

/// What is asked of a report. Each uses what concerns it.
#[derive(Debug, Clone)]
pub struct Options {
    /// JSON Lines instead of text.
    pub json: bool,
    /// Columns of a line of text.
    pub width: usize,
    /// Whether the slow and the failed are coloured.
    pub colour: bool,
    /// Only ASCII glyphs.
    pub ascii: bool,
    /// Every point and part, none folded together.
    pub verbose: bool,
    /// Zone of instants in text.
    pub zone: Zone,
    /// Only the slowest so many.
    pub slowest: Option<usize>,
    /// Only what failed.
    pub failed: bool,
    /// Only what meets all of these.
    pub filter: Filter,
    /// The trace wanted: its id, the beginning of it, or a planted id.
    pub trace: String,
    /// The moment wanted.
    pub moment: Option<Moment>,
    /// The service by whose side findings are told.
    pub for_service: Option<String>,
    /// How far around the moment, nanoseconds.
    pub window_ns: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            json: false,
            width: 100,
            colour: false,
            ascii: false,
            verbose: false,
            zone: Zone::UTC,
            slowest: None,
            failed: false,
            filter: Filter::default(),
            trace: String::new(),
            moment: None,
            for_service: None,
            window_ns: 500_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        for (i, report) in REPORTS.iter().enumerate() {
            assert!(!report.about.is_empty());
            assert!(REPORTS[..i].iter().all(|r| r.name != report.name), "{}", report.name);
            assert!(named(report.name).is_some());
        }
    }
}
