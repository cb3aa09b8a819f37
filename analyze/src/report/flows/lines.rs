//! Flows as JSON Lines: a line per edge and point (`afterpath.flow_edges/1`), then one per flow (`afterpath.flows/1`). Never rounds.

use super::Times;
use super::gathered::{AtPoint, Edge, Gathered};
use crate::analysis::Analysis;
use crate::flow::{Close, DirectionCounters, Flow, FlowIndex, Latency};
use crate::point::{Point, Process};
use crate::quantity::Distribution;
use crate::report::calls::decimal;
use crate::report::hops::{Percentiles, percentiles};
use crate::report::json;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;

pub(super) fn write(
    analysis: &Analysis,
    gathered: &Gathered,
    out: &mut dyn Write,
) -> io::Result<()> {
    for (edge, points) in &gathered.edges {
        let mut rows: Vec<_> = points.iter().collect();
        rows.sort_by_key(|(point, at)| (at.position, **point));
        for (point, at) in rows {
            json::line(out, &EdgeLine::of(edge, analysis.points.get(*point as usize), at))?;
        }
    }
    for (edge, points) in &gathered.edges {
        for index in points.values().flat_map(|at| &at.flows) {
            if let Some(flow) = analysis.flows.get(*index as usize) {
                json::line(out, &FlowLine::of(analysis, edge, *index, flow))?;
            }
        }
    }
    Ok(())
}

/// A number from each side.
#[derive(Serialize)]
struct Sides {
    client: u64,
    server: u64,
}

impl From<[u64; 2]> for Sides {
    fn from([client, server]: [u64; 2]) -> Sides {
        Sides { client, server }
    }
}

/// Counts of events.
#[derive(Serialize)]
struct Counts {
    retransmissions: Sides,
    n_syn_retransmissions: u64,
    n_syn_ack_retransmissions: u64,
    out_of_order: Sides,
    zero_windows: Sides,
    delayed_acks: Sides,
    held_back: Sides,
    resets: Sides,
}

#[derive(Serialize)]
struct TimesLine {
    n: u64,
    sum_ns: i64,
    max_ns: i64,
    /// Of the flows' means.
    flow_means: Option<Percentiles>,
}

impl TimesLine {
    fn of(times: &Times) -> Option<TimesLine> {
        let Latency { count, sum_ns, max_ns } = times.all;
        let flow_means = percentiles(&Distribution::exact(times.means.iter().copied()));
        (count > 0).then_some(TimesLine { n: count, sum_ns, max_ns, flow_means })
    }
}

#[derive(Serialize)]
struct EdgeLine<'a> {
    schema: &'static str,
    client_service: &'a str,
    server_service: &'a str,
    protocol: &'a str,
    point: String,
    n_flows: usize,
    rtt_client: Option<TimesLine>,
    rtt_server: Option<TimesLine>,
    srt: Option<TimesLine>,
    art: Option<TimesLine>,
    cit: Option<TimesLine>,
    #[serde(flatten)]
    counts: Counts,
    closes: BTreeMap<&'static str, u64>,
}

impl<'a> EdgeLine<'a> {
    fn of(edge: &'a Edge, point: Option<&Point>, at: &AtPoint) -> EdgeLine<'a> {
        EdgeLine {
            schema: "afterpath.flow_edges/1",
            client_service: &edge.client,
            server_service: &edge.server,
            protocol: &edge.protocol,
            point: point.map_or_else(String::new, Point::label),
            n_flows: at.flows.len(),
            rtt_client: TimesLine::of(&at.rtt_client),
            rtt_server: TimesLine::of(&at.rtt_server),
            srt: TimesLine::of(&at.srt),
            art: TimesLine::of(&at.art),
            cit: TimesLine::of(&at.cit),
            counts: Counts {
                retransmissions: at.retransmissions.into(),
                n_syn_retransmissions: at.syn_retransmissions[0],
                n_syn_ack_retransmissions: at.syn_retransmissions[1],
                out_of_order: at.out_of_order.into(),
                zero_windows: at.zero_windows.into(),
                delayed_acks: at.delayed_acks.into(),
                held_back: at.held_back.into(),
                resets: at.resets.into(),
            },
            closes: at.closes.iter().map(|(close, n)| (close.name(), *n)).collect(),
        }
    }
}

#[derive(Serialize)]
struct LatencyLine {
    n: u64,
    sum_ns: i64,
    max_ns: i64,
}

impl LatencyLine {
    fn of(latency: Latency) -> Option<LatencyLine> {
        let Latency { count, sum_ns, max_ns } = latency;
        (count > 0).then_some(LatencyLine { n: count, sum_ns, max_ns })
    }
}

#[derive(Serialize)]
struct FlowLine<'a> {
    schema: &'static str,
    flow: FlowIndex,
    client_service: &'a str,
    server_service: &'a str,
    protocol: &'a str,
    point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<String>,
    client: SocketAddr,
    server: SocketAddr,
    #[serde(serialize_with = "decimal")]
    first_unix_ns: Option<i64>,
    #[serde(serialize_with = "decimal")]
    last_unix_ns: Option<i64>,
    rtt_client_ns: Option<i64>,
    rtt_server_ns: Option<i64>,
    rtt_ns: Option<i64>,
    srt: Option<LatencyLine>,
    art: Option<LatencyLine>,
    cit: Option<LatencyLine>,
    packets: Sides,
    payload_bytes: Sides,
    missing_bytes: Sides,
    #[serde(flatten)]
    counts: Counts,
    close: &'static str,
    issues: Vec<&'static str>,
}

impl<'a> FlowLine<'a> {
    fn of(analysis: &Analysis, edge: &'a Edge, index: FlowIndex, flow: &Flow) -> FlowLine<'a> {
        let point = analysis.points.get(flow.point as usize);
        let sides = |of: fn(&DirectionCounters) -> u64| {
            Sides::from([0, 1].map(|side: usize| of(&flow.counters[side])))
        };
        FlowLine {
            schema: "afterpath.flows/1",
            flow: index,
            client_service: &edge.client,
            server_service: &edge.server,
            protocol: &edge.protocol,
            point: point.map_or_else(String::new, Point::label),
            process: point.and_then(|point| point.process.as_ref()).map(Process::label),
            client: flow.client,
            server: flow.server,
            first_unix_ns: Some(flow.first_ns),
            last_unix_ns: Some(flow.last_ns),
            rtt_client_ns: flow.rtt_client_ns(),
            rtt_server_ns: flow.rtt_server_ns(),
            rtt_ns: flow.rtt_ns(),
            srt: LatencyLine::of(flow.srt()),
            art: LatencyLine::of(flow.art()),
            cit: LatencyLine::of(flow.cit()),
            packets: sides(|c| c.packets),
            payload_bytes: sides(|c| c.payload_bytes),
            missing_bytes: sides(|c| c.missing_bytes),
            counts: Counts {
                retransmissions: sides(|c| c.retransmissions),
                n_syn_retransmissions: flow.counters[0].syn_retransmissions,
                n_syn_ack_retransmissions: flow.counters[1].syn_retransmissions,
                out_of_order: sides(|c| c.out_of_order),
                zero_windows: sides(|c| c.zero_windows),
                delayed_acks: [flow.pace[1].delayed_acks, flow.pace[0].delayed_acks].into(),
                held_back: [flow.pace[0].held_back.count, flow.pace[1].held_back.count].into(),
                resets: sides(|c| c.resets),
            },
            close: Close::name(flow.close),
            issues: flow.issues.iter().map(|issue| issue.name()).collect(),
        }
    }
}
