//! Why a trace took as long as it did: what is to blame, what each call waited for before it began, what was lost under it, and how much
//! later it might have ended. Never repeats what stands in its path.

use super::View;
use crate::analysis::Analysis;
use crate::call::{Before, Call, CallIndex, Known};
use crate::findings::verdict;
use crate::loss::{Fate, LostPacket};
use crate::measure;
use crate::quantity;
use crate::report::harmless::harmless;
use crate::report::ink::Ink;
use std::io;

impl View<'_> {
    /// Of a slow or failed trace what was found to blame.
    pub(super) fn write_verdict(&self, ink: &mut Ink<'_>) -> io::Result<()> {
        let number = self.analysis.traces.iter().position(|trace| trace.id == self.trace.id);
        let all = verdict::of_traces(self.analysis);
        let Some(own) = all.iter().find(|verdict| Some(verdict.trace as usize) == number) else {
            return Ok(());
        };
        let mut terms = vec![format!("verdict: {}", if own.failed { "failed" } else { "slow" })];
        match own.finding.and_then(|i| self.analysis.findings.get(i)) {
            None => terms.push("nothing was found to blame".to_string()),
            Some(finding) => {
                terms.extend([finding.culprit.words(), finding.class.clone()]);
                let cost = Some(own.cost_ns).filter(|ns| *ns > 0);
                terms.extend(cost.map(|ns| format!("{} of it", quantity::duration(ns))));
            }
        }
        let text = terms.join(" · ");
        ink.wrapped("", "  ", &harmless(&text))
    }

    /// What lies before a call, what was lost under it, and its slack.
    pub(super) fn write_why(
        &self,
        ink: &mut Ink<'_>,
        index: CallIndex,
        call: &Call,
        indent: &str,
    ) -> io::Result<()> {
        let mut write = |name: &str, text: &str| {
            let (first, more) = (format!("{indent}  {name:<7}"), format!("{indent}         "));
            ink.wrapped(&first, &more, &harmless(text))
        };
        if !call.before.is_empty() {
            let of = |b: &Before| {
                let sign = match b.known {
                    Known::Measured => "",
                    Known::AtLeast => "≥ ",
                    Known::Estimated => "about ",
                };
                format!("{} {sign}{}", measure::words(b.part), quantity::duration(b.ns))
            };
            let all: Vec<String> = call.before.iter().map(of).collect();
            write("before", &all.join(", "))?;
        }
        for packet in &self.analysis.lost_packets {
            let slowed = packet.slowed.iter().find(|(slowed, _)| *slowed == index);
            let Some((_, ns)) = slowed.filter(|_| packet.is_missing()) else { continue };
            let (name, text) = missing_text(self.analysis, packet, *ns);
            write(name, &text)?;
        }
        match call.critical {
            Some(critical) if critical.slack_ns > 0 => {
                let slack = quantity::duration(critical.slack_ns);
                write("slack", &format!("{slack} longer would have changed nothing"))
            }
            _ => Ok(()),
        }
    }
}

/// What is said of a packet that a call missed, and how sure that is: `lost`, or `missing`.
pub(in crate::report) fn missing_text(
    analysis: &Analysis,
    packet: &LostPacket,
    ns: i64,
) -> (&'static str, String) {
    let label = |flow: u32| {
        let flow = &analysis.flows[flow as usize];
        analysis.points[flow.point as usize].label()
    };
    let place = match packet.to {
        Some(to) => format!("between {} and {}", label(packet.from), label(to)),
        None => format!("behind {}", label(packet.from)),
    };
    let reason = match packet.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let ns = quantity::duration(ns);
    match packet.fate {
        Fate::Dropped => ("lost", format!("a packet {place}{reason}: {ns} until the next try")),
        _ => (
            "missing",
            format!("a packet or its acknowledgment, perhaps {place}: {ns} until the next try"),
        ),
    }
}
