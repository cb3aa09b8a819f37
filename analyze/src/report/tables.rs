//! The result as columns for Parquet: calls, observations, hops, flows. One line per column, its meaning beside it and in
//! the file's metadata. Never an unsigned 64-bit or timestamp column: other readers refuse them.

use super::calls;
use crate::analysis::Analysis;
use crate::call::{Call, Hop, Part, SpanAt};
use crate::flow::{DirectionCounters, Flow, Latency};
use crate::issue::Issue;
use crate::measure;
use crate::names::Names;
use crate::point::{Point, Process};
use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use std::ops::Range;
use std::sync::Arc;

/// A table: its name, what a row is, and how to make it.
pub struct Table {
    /// File stem.
    pub name: &'static str,
    /// What one row is.
    pub row: &'static str,
    /// Columns as (name, meaning).
    pub columns: fn() -> Vec<(&'static str, &'static str)>,
    /// The rows of some calls or flows, by their index range; ranges beyond the end are empty.
    pub batch: fn(&Analysis, &Names, Range<usize>) -> Result<RecordBatch, ArrowError>,
    /// How many calls or flows there are to take ranges of.
    pub len: fn(&Analysis) -> usize,
}

/// Every table.
pub const TABLES: &[Table] = &[
    Table {
        name: "calls",
        row: "one call",
        columns: || described(&of_calls()),
        batch: |a, n, range| batch(&of_calls(), &rows(a, n, range, |_| 1)),
        len: |a| a.calls.len(),
    },
    Table {
        name: "observations",
        row: "one call at one observation point",
        columns: || described(&of_observations()),
        batch: |a, n, range| batch(&of_observations(), &rows(a, n, range, |c| c.spans.len())),
        len: |a| a.calls.len(),
    },
    Table {
        name: "hops",
        row: "one part of a call's duration",
        columns: || described(&of_hops()),
        batch: |a, n, range| batch(&of_hops(), &rows(a, n, range, |c| c.hops.len())),
        len: |a| a.calls.len(),
    },
    Table {
        name: "flows",
        row: "one L4 conversation at one observation point",
        columns: || described(&of_flows()),
        batch: |a, _, range| batch(&of_flows(), &flows(a, range)),
        len: |a| a.flows.len(),
    },
];

/// One column of a table of `R`.
struct Column<R> {
    name: &'static str,
    meaning: &'static str,
    make: fn(&[R]) -> ArrayRef,
}

/// A call and the place of the row in it: of the span or the hop.
struct CallRow<'a> {
    analysis: &'a Analysis,
    names: &'a Names,
    call: &'a Call,
    place: usize,
}

struct FlowRow<'a> {
    analysis: &'a Analysis,
    index: usize,
    flow: &'a Flow,
}

impl<'a> CallRow<'a> {
    fn span(&self) -> Option<&'a SpanAt> {
        self.call.spans.get(self.place)
    }

    fn point(&self) -> Option<&'a Point> {
        self.analysis.points.get(self.span()?.point as usize)
    }

    fn hop(&self) -> Option<&'a Hop> {
        self.call.hops.get(self.place)
    }

    fn parent(&self) -> Option<&'a Call> {
        self.analysis.calls.get(self.call.link.as_ref()?.parent as usize)
    }
}

macro_rules! columns {
    ($row:ty; $($name:literal $array:ident $meaning:literal $r:ident => $value:expr;)*) => {
        vec![$(Column {
            name: $name,
            meaning: $meaning,
            make: |rows: &[$row]| Arc::new(rows.iter().map(|$r| $value).collect::<$array>()),
        }),*]
    };
}

fn of_calls<'a>() -> Vec<Column<CallRow<'a>>> {
    columns! { CallRow<'a>;
    "call_id" StringArray "the call, 16 hexadecimal digits" r => Some(calls::id(r.call.id));
    "trace_id" StringArray "its trace" r => r.analysis.traces.get(r.call.trace as usize).map(|t| calls::id(t.id));
    "parent_id" StringArray "the call that caused it" r => r.parent().map(|p| calls::id(p.id));
    "link_kind" StringArray "relay or work" r => r.call.link.as_ref().map(|l| calls::link_kind(l.kind));
    "link_confidence" Float64Array "probability that the parent is right" r => r.call.link.as_ref().map(|l| l.confidence);
    "link_candidates" Int64Array "how many parents were possible" r => r.call.link.as_ref().map(|l| i64::from(l.candidates));
    "link_evidence" StringArray "reasons, joined by `; `" r => r.call.link.as_ref().map(|l| l.evidence.join("; "));
    "protocol" StringArray "http1, redis, tcp …" r => Some(&r.call.protocol);
    "version" StringArray "the protocol's version" r => Some(&r.call.version);
    "request_type" StringArray "GET, SELECT …" r => Some(&r.call.request_type);
    "resource" StringArray "what was asked" r => Some(&r.call.resource);
    "route" StringArray "the resource without what differs from call to call: what to group by" r => Some(&r.call.route);
    "authority" StringArray "authority asked" r => Some(&r.call.authority);
    "status" StringArray "as the protocol writes it" r => Some(&r.call.status);
    "outcome" StringArray "ok, client-error, server-error" r => r.call.outcome.map(calls::outcome);
    "state" StringArray "complete, open, response-only, one-way" r => Some(calls::state(r.call.state));
    "failed" BooleanArray "an error outcome, or no answer; not what was in flight when the recording ended" r => Some(r.call.failed());
    "client_service" StringArray "the service that asked" r => Some(r.names.client(r.analysis, r.call));
    "client_host" StringArray "host of the asking end" r => Some(&r.call.client.host);
    "client_netns" StringArray "its network namespace" r => Some(&r.call.client.netns);
    "client_process" StringArray "the asking process, name[pid]" r => r.call.client.process.as_ref().map(Process::label);
    "client_address" StringArray "its address, as seen nearest to it" r => Some(r.call.client.address.to_string());
    "client_port" Int64Array "its port" r => Some(i64::from(r.call.client.port));
    "server_service" StringArray "the service that answered" r => Some(r.names.server(&r.call.server));
    "server_host" StringArray "host of the answering end" r => Some(&r.call.server.host);
    "server_netns" StringArray "its network namespace" r => Some(&r.call.server.netns);
    "server_process" StringArray "the answering process, name[pid]" r => r.call.server.process.as_ref().map(Process::label);
    "server_address" StringArray "its address, as seen nearest to it" r => Some(r.call.server.address.to_string());
    "server_port" Int64Array "its port" r => Some(i64::from(r.call.server.port));
    "request_first_unix_ns" Int64Array "first byte of the request, at the first point" r => r.call.spans.first().and_then(|s| s.times.request_first);
    "request_last_unix_ns" Int64Array "last byte of the request" r => r.call.spans.first().and_then(|s| s.times.request_last);
    "response_first_unix_ns" Int64Array "first byte of the response" r => r.call.spans.first().and_then(|s| s.times.response_first);
    "response_last_unix_ns" Int64Array "last byte of the response" r => r.call.spans.first().and_then(|s| s.times.response_last);
    "duration_ns" Int64Array "duration at the first point, or what was seen of it" r => Some(measure::duration(r.analysis, r.call).ns);
    "duration_is_lower_bound" BooleanArray "the end or the beginning was not seen" r => Some(measure::duration(r.analysis, r.call).at_least);
    "latency_ns" Int64Array "response_first − request_last" r => r.call.spans.first().and_then(|s| s.times.latency_ns());
    "self_ns" Int64Array "server time that no child call covers" r => r.call.self_ns;
    "connect_ns" Int64Array "TCP handshake, on a connection's first call" r => r.call.connect_ns;
    "pool_wait_ns" Int64Array "waiting for a free connection, before its first byte" r => measure::before(r.call, Part::ClientPoolWait);
    "path_ns" Int64Array "its own parts on the path that made its trace as long as it was" r => r.call.critical.map(|c| c.path_ns);
    "slack_ns" Int64Array "how much longer it might have taken, and its trace no longer" r => r.call.critical.map(|c| c.slack_ns);
    "request_bytes" Int64Array "bytes on the wire" r => i64::try_from(r.call.request_bytes).ok();
    "response_bytes" Int64Array "bytes on the wire" r => i64::try_from(r.call.response_bytes).ok();
    "issues" StringArray "doubts, joined by `,`" r => Some(issues(&r.call.issues));
    }
}

fn of_observations<'a>() -> Vec<Column<CallRow<'a>>> {
    columns! { CallRow<'a>;
    "call_id" StringArray "the call" r => Some(calls::id(r.call.id));
    "position" Int64Array "place in the path, 0 nearest to the client" r => i64::try_from(r.place).ok();
    "host" StringArray "host of the point" r => r.point().map(|p| &p.host);
    "netns" StringArray "its network namespace" r => r.point().map(|p| &p.netns);
    "interface" StringArray "its interface" r => r.point().map(|p| &p.interface);
    "process" StringArray "the process whose socket it is, name[pid]" r => r.point().and_then(|p| p.process.as_ref()).map(Process::label);
    "clock_domain" StringArray "instants compare only when this is equal" r => r.point().and_then(|p| r.analysis.domains.get(p.domain as usize));
    "request_first_unix_ns" Int64Array "first byte of the request here" r => r.span().and_then(|s| s.times.request_first);
    "request_last_unix_ns" Int64Array "last byte of the request here" r => r.span().and_then(|s| s.times.request_last);
    "response_first_unix_ns" Int64Array "first byte of the response here" r => r.span().and_then(|s| s.times.response_first);
    "response_last_unix_ns" Int64Array "last byte of the response here" r => r.span().and_then(|s| s.times.response_last);
    "order_basis" StringArray "why it stands at this place" r => r.span().map(|s| calls::order_basis(s.order_basis));
    "retransmissions" Int64Array "retransmitted segments inside the call" r => r.span().map(|s| i64::from(s.retransmissions));
    "flow" Int64Array "row of the flows table" r => r.span().map(|s| i64::from(s.flow));
    }
}

fn of_hops<'a>() -> Vec<Column<CallRow<'a>>> {
    columns! { CallRow<'a>;
    "call_id" StringArray "the call" r => Some(calls::id(r.call.id));
    "position" Int64Array "place among the call's parts" r => i64::try_from(r.place).ok();
    "part" StringArray "request_transfer, wire, gateway, server, response_transfer, unattributed, and those of sockets: see CALLS.md" r => r.hop().map(|h| h.part.name());
    "from_position" Int64Array "observation where it begins" r => r.hop().map(|h| i64::from(h.from));
    "to_position" Int64Array "observation where it ends" r => r.hop().map(|h| i64::from(h.to));
    "from_label" StringArray "name of the point where it begins" r => r.hop().map(|h| measure::point_label(r.analysis, r.call, h.from as usize));
    "to_label" StringArray "name of the point where it ends" r => r.hop().map(|h| measure::point_label(r.analysis, r.call, h.to as usize));
    "forward_ns" Int64Array "time in the request's direction" r => r.hop().and_then(|h| h.forward_ns);
    "return_ns" Int64Array "time in the response's direction" r => r.hop().and_then(|h| h.return_ns);
    "total_ns" Int64Array "both together" r => r.hop().map(|h| h.total_ns);
    "bound_ns" Int64Array "bound of the one-way times' error; null: unknown (clocks)" r => r.hop().and_then(|h| h.bound_ns);
    }
}

fn of_flows<'a>() -> Vec<Column<FlowRow<'a>>> {
    columns! { FlowRow<'a>;
    "flow" Int64Array "what observations name" r => i64::try_from(r.index).ok();
    "host" StringArray "host of the point" r => r.point().map(|p| &p.host);
    "netns" StringArray "its network namespace" r => r.point().map(|p| &p.netns);
    "interface" StringArray "its interface" r => r.point().map(|p| &p.interface);
    "process" StringArray "the process whose socket it is, name[pid]" r => r.point().and_then(|p| p.process.as_ref()).map(Process::label);
    "ip_protocol" Int64Array "6 TCP, 17 UDP, 0 unix" r => Some(i64::from(r.flow.ip_protocol));
    "protocol" StringArray "application protocol, or opaque" r => Some(&r.flow.protocol);
    "client_address" StringArray "client's address here" r => Some(r.flow.client.ip().to_string());
    "client_port" Int64Array "client's port here" r => Some(i64::from(r.flow.client.port()));
    "server_address" StringArray "server's address here" r => Some(r.flow.server.ip().to_string());
    "server_port" Int64Array "server's port here" r => Some(i64::from(r.flow.server.port()));
    "first_unix_ns" Int64Array "first packet" r => Some(r.flow.first_ns);
    "last_unix_ns" Int64Array "last packet" r => Some(r.flow.last_ns);
    "syn_unix_ns" Int64Array "first SYN" r => r.flow.handshake_ns[0];
    "syn_ack_unix_ns" Int64Array "first SYN-ACK" r => r.flow.handshake_ns[1];
    "handshake_done_unix_ns" Int64Array "final ACK of the handshake" r => r.flow.handshake_ns[2];
    "close" StringArray "open, client-fin, server-fin, client-reset, server-reset, refused, unanswered, client-silent, server-silent" r => Some(r.flow.close.name());
    "client_packets" Int64Array "packets from the client" r => r.count(0, |c| c.packets);
    "server_packets" Int64Array "packets from the server" r => r.count(1, |c| c.packets);
    "client_payload_bytes" Int64Array "payload from the client, retransmissions included" r => r.count(0, |c| c.payload_bytes);
    "server_payload_bytes" Int64Array "payload from the server, retransmissions included" r => r.count(1, |c| c.payload_bytes);
    "client_retransmissions" Int64Array "segments whose bytes had been seen before" r => r.count(0, |c| c.retransmissions);
    "server_retransmissions" Int64Array "the same from the server" r => r.count(1, |c| c.retransmissions);
    "client_out_of_order" Int64Array "segments after later ones, not seen before" r => r.count(0, |c| c.out_of_order);
    "server_out_of_order" Int64Array "the same from the server" r => r.count(1, |c| c.out_of_order);
    "client_zero_windows" Int64Array "segments advertising a zero window" r => r.count(0, |c| c.zero_windows);
    "server_zero_windows" Int64Array "the same from the server" r => r.count(1, |c| c.zero_windows);
    "client_syn_retransmissions" Int64Array "SYNs sent again" r => r.count(0, |c| c.syn_retransmissions);
    "server_syn_retransmissions" Int64Array "SYN-ACKs sent again" r => r.count(1, |c| c.syn_retransmissions);
    "srt_count" Int64Array "acknowledgments of the client's data by the server's stack, directly behind it" r => r.latency(Flow::srt).0;
    "srt_sum_ns" Int64Array "system response time: data until its acknowledgment, added up" r => r.latency(Flow::srt).1;
    "srt_max_ns" Int64Array "the longest" r => r.latency(Flow::srt).2;
    "art_count" Int64Array "answers: server's data behind the client's" r => r.latency(Flow::art).0;
    "art_sum_ns" Int64Array "application response time: last data of a request until the first of its answer, added up" r => r.latency(Flow::art).1;
    "art_max_ns" Int64Array "the longest" r => r.latency(Flow::art).2;
    "cit_count" Int64Array "requests behind an answer, or behind the handshake" r => r.latency(Flow::cit).0;
    "cit_sum_ns" Int64Array "client idle time: last data of an answer until the next request's first, added up" r => r.latency(Flow::cit).1;
    "cit_max_ns" Int64Array "the longest" r => r.latency(Flow::cit).2;
    "client_delayed_acks" Int64Array "acknowledgments that the client delayed on purpose; none of any response time" r => i64::try_from(r.flow.pace[1].delayed_acks).ok();
    "server_delayed_acks" Int64Array "the same of the server" r => i64::try_from(r.flow.pace[0].delayed_acks).ok();
    "client_held_back" Int64Array "small segments of the client that waited for a delayed acknowledgment" r => r.latency(|f| f.pace[0].held_back).0;
    "server_held_back" Int64Array "the same from the server" r => r.latency(|f| f.pace[1].held_back).0;
    "client_capture_duplicates" Int64Array "transmissions captured twice here" r => r.count(0, |c| c.capture_duplicates);
    "server_capture_duplicates" Int64Array "the same from the server" r => r.count(1, |c| c.capture_duplicates);
    "client_missing_bytes" Int64Array "stream bytes never captured" r => r.count(0, |c| c.missing_bytes);
    "server_missing_bytes" Int64Array "the same from the server" r => r.count(1, |c| c.missing_bytes);
    "client_resets" Int64Array "RST segments from the client" r => r.count(0, |c| c.resets);
    "server_resets" Int64Array "RST segments from the server" r => r.count(1, |c| c.resets);
    "issues" StringArray "doubts, joined by `,`" r => Some(issues(&r.flow.issues));
    }
}

impl<'a> FlowRow<'a> {
    fn point(&self) -> Option<&'a Point> {
        self.analysis.points.get(self.flow.point as usize)
    }

    fn latency(&self, of: fn(&Flow) -> Latency) -> (Option<i64>, Option<i64>, Option<i64>) {
        let Latency { count, sum_ns, max_ns } = of(self.flow);
        let known = |ns: i64| (count > 0).then_some(ns);
        (i64::try_from(count).ok(), known(sum_ns), known(max_ns))
    }

    fn count(&self, side: usize, of: fn(&DirectionCounters) -> u64) -> Option<i64> {
        i64::try_from(of(&self.flow.counters[side])).ok()
    }
}

fn rows<'a>(
    analysis: &'a Analysis,
    names: &'a Names,
    range: Range<usize>,
    places: fn(&Call) -> usize,
) -> Vec<CallRow<'a>> {
    let calls = analysis.calls.iter().skip(range.start).take(range.len());
    let of = |call: &'a Call| {
        (0..places(call)).map(move |place| CallRow { analysis, names, call, place })
    };
    calls.flat_map(of).collect()
}

fn flows(analysis: &Analysis, range: Range<usize>) -> Vec<FlowRow<'_>> {
    let flows = analysis.flows.iter().enumerate().skip(range.start).take(range.len());
    flows.map(|(index, flow)| FlowRow { analysis, index, flow }).collect()
}

#[allow(
    clippy::disallowed_types,
    reason = "arrow's metadata is one; with one entry it has no order"
)]
fn batch<R>(columns: &[Column<R>], rows: &[R]) -> Result<RecordBatch, ArrowError> {
    let arrays: Vec<ArrayRef> = columns.iter().map(|c| (c.make)(rows)).collect();
    let field = |(c, array): (&Column<R>, &ArrayRef)| {
        let meaning =
            std::collections::HashMap::from([("meaning".to_owned(), c.meaning.to_owned())]);
        Field::new(c.name, array.data_type().clone(), true).with_metadata(meaning)
    };
    let fields: Vec<Field> = columns.iter().zip(&arrays).map(field).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
}

fn described<R>(columns: &[Column<R>]) -> Vec<(&'static str, &'static str)> {
    columns.iter().map(|c| (c.name, c.meaning)).collect()
}

fn issues(issues: &[Issue]) -> String {
    issues.iter().map(|i| i.name()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the document is a file")]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(table: &str, expected_rows: usize) {
        let analysis = sample::two_clocks();
        let names = Names::of(&analysis);
        let table = TABLES.iter().find(|t| t.name == table).unwrap();
        let whole = (table.batch)(&analysis, &names, 0..(table.len)(&analysis)).unwrap();
        assert_eq!(whole.num_rows(), expected_rows);
        assert_eq!(whole.num_columns(), (table.columns)().len());
        let beyond = (table.batch)(&analysis, &names, 10_000..10_001).unwrap();
        assert_eq!((beyond.num_rows(), beyond.schema()), (0, whole.schema()));
    }

    #[test]
    fn a_row_per_call_observation_hop_and_flow() {
        let analysis = sample::two_clocks();
        check("calls", analysis.calls.len());
        check("observations", analysis.calls.iter().map(|c| c.spans.len()).sum());
        check("hops", analysis.calls.iter().map(|c| c.hops.len()).sum());
        check("flows", analysis.flows.len());
    }

    #[test]
    fn the_document_lists_every_column() {
        let mut text = String::from(
            "# Tables of `export --format parquet`\n\nOne file per table; every column may be null. Ids join the tables. \
             Generated from `tables.rs`; a test compares.\n",
        );
        for table in TABLES {
            text.push_str(&format!(
                "\n## {}.parquet: {}\n\n| column | meaning |\n|---|---|\n",
                table.name, table.row
            ));
            for (name, meaning) in (table.columns)() {
                text.push_str(&format!("| `{name}` | {meaning} |\n"));
            }
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/TABLES.md");
        if std::env::var_os("AFTERPATH_BLESS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), text, "AFTERPATH_BLESS=1 writes it");
    }
}
