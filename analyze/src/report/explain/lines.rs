//! `explain --json`: the lines beside those of the calls. Never chooses what is told.

use super::troubles;
use crate::analysis::Analysis;
use crate::flow::Flow;
use crate::loss::Loss;
use crate::report::outliers::Outlier;
use crate::report::{calls, json};
use serde::Serialize;
use std::io::{self, Write};

/// A thing that could not be used.
#[derive(Serialize)]
struct LossLine<'a> {
    schema: &'static str,
    place: &'a str,
    cause: &'a str,
    count: u64,
}

/// A line for each loss.
pub(in crate::report) fn write_loss_lines(
    analysis: &Analysis,
    out: &mut dyn Write,
) -> io::Result<()> {
    let line = |loss: &Loss| {
        let Loss { place, cause, count } = loss;
        json::line(out, &LossLine { schema: "afterpath.losses/1", place, cause, count: *count })
    };
    analysis.losses.iter().try_for_each(line)
}

#[derive(Serialize)]
pub(super) struct OutlierLine {
    schema: &'static str,
    call: String,
    stretch: String,
    way: &'static str,
    began_unix_ns: String,
    took_ns: i64,
    usual_ns: i64,
}

impl OutlierLine {
    pub(super) fn of(analysis: &Analysis, outlier: &Outlier<'_>) -> Self {
        OutlierLine {
            schema: "afterpath.outliers/1",
            call: calls::id(outlier.call.id),
            stretch: outlier.place(analysis),
            way: match outlier.way {
                '→' => "forward",
                '←' => "return",
                _ => "both",
            },
            began_unix_ns: outlier.began_ns.to_string(),
            took_ns: outlier.took_ns,
            usual_ns: outlier.usual_ns,
        }
    }
}

#[derive(Serialize)]
pub(super) struct FlowLine {
    schema: &'static str,
    index: usize,
    point: String,
    protocol: String,
    client: String,
    server: String,
    first_unix_ns: String,
    last_unix_ns: String,
    troubles: Vec<Trouble>,
}

#[derive(Serialize)]
pub(super) struct Trouble {
    kind: &'static str,
    count: u64,
}

impl FlowLine {
    pub(super) fn of(index: usize, flow: &Flow, point: String) -> Self {
        FlowLine {
            schema: "afterpath.flows/1",
            index,
            point,
            protocol: flow.protocol.clone(),
            client: flow.client.to_string(),
            server: flow.server.to_string(),
            first_unix_ns: flow.first_ns.to_string(),
            last_unix_ns: flow.last_ns.to_string(),
            troubles: troubles(flow)
                .into_iter()
                .map(|(count, kind)| Trouble { kind, count })
                .collect(),
        }
    }
}
