//! Whether the calls over a unix socket are in the recording, by nothing but the recorder's own rows: no packet shows them, and the
//! analyzer's word for it would be no check. Never parses more than a command's words.

use crate::rewrite;
use crate::score::Share;
use crate::truth::{TrueCall, Truth};
use anyhow::{Context, Result};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, UInt8Type};
use std::collections::BTreeMap;
use std::path::Path;

/// The number of an outbound event.
const OUTBOUND: u8 = 2;
/// How far the service's own reading of the clock may be from the recorder's.
const SLACK_NS: i64 = 2_000_000;

/// What was written to each unix socket, in order: when (Unix nanoseconds), which bytes.
type Written = BTreeMap<i64, Vec<(i64, Vec<u8>)>>;

/// Of the truth's calls over unix sockets: how many were written to their very socket, in their time, in their words.
///
/// # Errors
/// When the bundle can't be read.
pub fn found(bundle: &Path, truth: &Truth) -> Result<Share> {
    let written = written(bundle)?;
    let mut share = Share::default();
    for call in truth.requests.iter().flat_map(|request| &request.calls) {
        if let Some(socket) = call.client.strip_prefix("unix:") {
            let own = socket.parse().ok().and_then(|socket: i64| written.get(&socket));
            share.count(own.is_some_and(|own| own.iter().any(|event| is_of(event, call))));
        }
    }
    Ok(share)
}

fn is_of((at_ns, bytes): &(i64, Vec<u8>), call: &TrueCall) -> bool {
    let in_time = (call.t_start_ns - SLACK_NS..=call.t_end_ns + SLACK_NS).contains(at_ns);
    let has = |word: &str| {
        let argument = format!("\r\n${}\r\n{word}\r\n", word.len());
        bytes.windows(argument.len()).any(|window| window == argument.as_bytes())
    };
    in_time && has(&call.request_type) && (call.resource.is_empty() || has(&call.resource))
}

fn written(bundle: &Path) -> Result<Written> {
    let ahead_ns = ahead_ns(bundle)?;
    let mut written = Written::new();
    for batch in rewrite::batches(bundle, "socket_events")? {
        let kinds = batch["kind"].as_string::<i32>();
        let directions = batch["direction"].as_primitive::<UInt8Type>();
        let sockets = batch["socket_id"].as_primitive::<Int64Type>();
        let times = batch["time_ns"].as_primitive::<Int64Type>();
        let bytes = batch["bytes"].as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let is_write = kinds.value(row) == "unix" && directions.value(row) == OUTBOUND;
            if is_write && sockets.is_valid(row) && bytes.is_valid(row) {
                let event = (times.value(row) + ahead_ns, bytes.value(row).to_vec());
                written.entry(sockets.value(row)).or_default().push(event);
            }
        }
    }
    Ok(written)
}

/// How far REALTIME was ahead of BOOTTIME when the recording began.
fn ahead_ns(bundle: &Path) -> Result<i64> {
    let batches = rewrite::batches(bundle, "clock")?;
    let batch = batches.iter().find(|batch| batch.num_rows() > 0).context("a clock was read")?;
    let first = |column: &str| batch[column].as_primitive::<Int64Type>().value(0);
    Ok(first("realtime_ns") - first("boottime_ns"))
}
