//! `explain`: packets that were lost in the window, or sent again, and where. Never tells of a place that is not known.

use crate::analysis::Analysis;
use crate::loss::{Fate, LossDoubt, LostPacket};
use crate::point::Point;
use crate::protocol::Side;
use crate::quantity;
use crate::report::grid::{Align, Grid, Tone};
use crate::report::ink::Ink;
use crate::report::{calls, json};
use serde::Serialize;
use std::io::{self, Write};

/// Those that passed the last point that saw them in some time, by that point's clock.
pub(super) fn lost(analysis: &Analysis, (from, to): (i64, i64)) -> Vec<&LostPacket> {
    let all = analysis.lost_packets.iter();
    let mut lost: Vec<&LostPacket> = all.filter(|l| (from..=to).contains(&l.at_ns)).collect();
    lost.sort_by_key(|lost| (lost.at_ns, lost.from));
    lost
}

/// `podB/eth0 → podC/eth0`; of what was lost behind the last point `behind podB/eth0`.
fn place(analysis: &Analysis, lost: &LostPacket) -> String {
    match lost.to {
        Some(to) => format!("{} → {}", label(analysis, lost.from), label(analysis, to)),
        None => format!("behind {}", label(analysis, lost.from)),
    }
}

fn label(analysis: &Analysis, flow: u32) -> String {
    let point = analysis.flows.get(flow as usize).map(|flow| flow.point as usize);
    point.and_then(|point| analysis.points.get(point)).map_or_else(String::new, Point::label)
}

/// A table of them; nothing without any.
pub(super) fn write(
    ink: &mut Ink<'_>,
    analysis: &Analysis,
    lost: &[&LostPacket],
    at: i64,
) -> io::Result<()> {
    if lost.is_empty() {
        return Ok(());
    }
    ink.line("")?;
    ink.wrapped("", "  ", "packets that were lost or sent again in the window, by the clock of the last point that saw them")?;
    let mut grid = Grid::new(&[
        ("passed", Align::Right),
        ("", Align::Left),
        ("where", Align::Left),
        ("repaired", Align::Right),
        ("bytes", Align::Right),
        ("why", Align::Flexible),
    ]);
    for packet in lost {
        let tone = if packet.fate == Fate::Dropped { Tone::Failed } else { Tone::Plain };
        let why = match packet.doubt {
            Some(doubt) => doubt.name().to_string(),
            None => packet.reason.clone(),
        };
        grid.row([
            (super::offset(packet.at_ns.saturating_sub(at)), Tone::Plain),
            (packet.fate.name().to_string(), tone),
            (place(analysis, packet), tone),
            (quantity::known(packet.repaired_ns), Tone::Plain),
            (quantity::count(packet.length.into()), Tone::Plain),
            (why, Tone::Plain),
        ]);
    }
    grid.write(ink, "  ")
}

#[derive(Serialize)]
struct LostLine<'a> {
    schema: &'static str,
    fate: &'static str,
    doubt: Option<&'static str>,
    from: String,
    to: Option<String>,
    sender: &'static str,
    client: String,
    server: String,
    at_unix_ns: String,
    repaired_ns: Option<i64>,
    sequence: u32,
    length: u32,
    kernel: Option<&'a str>,
    slowed: Vec<SlowedLine>,
}

#[derive(Serialize)]
struct SlowedLine {
    call: String,
    ns: i64,
}

/// A line for each.
pub(super) fn write_lines(
    analysis: &Analysis,
    lost: &[&LostPacket],
    out: &mut dyn Write,
) -> io::Result<()> {
    for packet in lost {
        let ends = analysis.flows.get(packet.from as usize);
        let ends = ends.map(|flow| (flow.client.to_string(), flow.server.to_string()));
        let (client, server) = ends.unwrap_or_default();
        let call = |index: u32| analysis.calls.get(index as usize);
        let slowed = packet
            .slowed
            .iter()
            .filter_map(|&(index, ns)| Some(SlowedLine { call: calls::id(call(index)?.id), ns }));
        let line = LostLine {
            schema: "afterpath.lost-packets/1",
            fate: packet.fate.name(),
            doubt: packet.doubt.map(LossDoubt::name),
            from: label(analysis, packet.from),
            to: packet.to.map(|to| label(analysis, to)),
            sender: if packet.sender == Side::Client { "client" } else { "server" },
            client,
            server,
            at_unix_ns: packet.at_ns.to_string(),
            repaired_ns: packet.repaired_ns,
            sequence: packet.sequence,
            length: packet.length,
            kernel: Some(packet.reason.as_str()).filter(|reason| !reason.is_empty()),
            slowed: slowed.collect(),
        };
        json::line(out, &line)?;
    }
    Ok(())
}
