//! As JSON Lines: the verdict, each entry with all its contributions, each row with all its numbers. Never rounds.

use super::{Shown, kind, words};
use crate::diff::{Compared, Estimate, Key, PERMILLES, RowCompared};
use crate::report::json;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

const VERDICT: &str = "afterpath.diff/1";
const ENTRY: &str = "afterpath.diff-entry/1";
const ROW: &str = "afterpath.diff-row/1";

/// What the key of a row says.
#[derive(Serialize)]
struct KeyLine<'a> {
    kind: &'static str,
    words: String,
    #[serde(flatten)]
    fields: BTreeMap<&'static str, &'a str>,
}

#[derive(Serialize)]
struct VerdictLine<'a> {
    schema: &'static str,
    verdict: &'static str,
    blamed: Option<KeyLine<'a>>,
    n_base: usize,
    n_candidate: usize,
    /// Whether so many recordings can show a change at all.
    is_enough: bool,
    different: &'a [String],
    notes: &'a [String],
    left_out: Vec<LeftOut<'a>>,
    n_rows: usize,
    n_regressed: usize,
    alpha: f64,
    floor_share: f64,
    floor_ns: f64,
}

#[derive(Serialize)]
struct LeftOut<'a> {
    side: &'static str,
    recording: &'a str,
    reason: &'a str,
}

#[derive(Serialize)]
struct EntryLine<'a> {
    schema: &'static str,
    entry: KeyLine<'a>,
    n: [u64; 2],
    mean_ns: [f64; 2],
    change_ns: f64,
    /// They sum to the change; that without a key is what no hop accounts for.
    contributions: Vec<ContributionLine<'a>>,
}

#[derive(Serialize)]
struct ContributionLine<'a> {
    key: Option<KeyLine<'a>>,
    mean_ns: [f64; 2],
    change_ns: f64,
}

#[derive(Serialize)]
struct RowLine<'a> {
    schema: &'static str,
    change: &'static str,
    #[serde(flatten)]
    key: KeyLine<'a>,
    n: [u64; 2],
    failed_share: [f64; 2],
    calls_per_request: [f64; 2],
    bytes_per_call: [f64; 2],
    unseen_share: Option<[f64; 2]>,
    base: BTreeMap<&'static str, EstimateLine>,
    candidate: BTreeMap<&'static str, EstimateLine>,
    shift_ns: Option<f64>,
    tested: Vec<TestedLine>,
}

#[derive(Serialize)]
struct EstimateLine {
    ns: f64,
    low_ns: f64,
    high_ns: f64,
}

#[derive(Serialize)]
struct TestedLine {
    name: &'static str,
    base: f64,
    candidate: f64,
    p: Option<f64>,
    change: &'static str,
}

pub(super) fn write(shown: &Shown<'_>, out: &mut dyn Write) -> io::Result<()> {
    let compared = shown.compared;
    json::line(out, &verdict(shown))?;
    for entry in &compared.attributed {
        let contribution = |part: &crate::diff::Contribution| (part.mean_ns, part.change_ns());
        let parts = entry.parts.iter().map(|part| {
            let (mean_ns, change_ns) = contribution(part);
            ContributionLine { key: part.key.as_ref().map(key), mean_ns, change_ns }
        });
        json::line(
            out,
            &EntryLine {
                schema: ENTRY,
                entry: key(&entry.entry),
                n: entry.n,
                mean_ns: entry.mean_ns,
                change_ns: entry.mean_ns[1] - entry.mean_ns[0],
                contributions: parts.collect(),
            },
        )?;
    }
    compared.rows.iter().try_for_each(|of| json::line(out, &row(of)))
}

/// The verdict in a word, stable.
pub(super) fn verdict_word(compared: &Compared) -> &'static str {
    match compared.regressed().next() {
        _ if !compared.different.is_empty() => "different",
        Some(_) => "regressed",
        None if !compared.is_enough => "too-few",
        None => "passed",
    }
}

fn verdict<'a>(shown: &'a Shown<'_>) -> VerdictLine<'a> {
    let compared = shown.compared;
    let left_out = compared.left_out.iter().map(|(side, number, reason)| LeftOut {
        side: ["base", "candidate"][*side],
        recording: shown.names[*side].get(*number).map_or("?", String::as_str),
        reason,
    });
    VerdictLine {
        schema: VERDICT,
        verdict: verdict_word(compared),
        blamed: compared.blamed().map(|row| key(&row.key)),
        n_base: compared.n_runs[0],
        n_candidate: compared.n_runs[1],
        is_enough: compared.is_enough,
        different: &compared.different,
        notes: &compared.notes,
        left_out: left_out.collect(),
        n_rows: compared.rows.len(),
        n_regressed: compared.regressed().count(),
        alpha: shown.wanted.alpha,
        floor_share: shown.wanted.floor_share,
        floor_ns: shown.wanted.floor_ns,
    }
}

fn key(of: &Key) -> KeyLine<'_> {
    let fields: Vec<(&'static str, &str)> = match of {
        Key::Endpoint { service, protocol, route } => {
            vec![("service", service), ("protocol", protocol), ("route", route)]
        }
        Key::Edge { client, server, protocol } => {
            vec![("client_service", client), ("server_service", server), ("protocol", protocol)]
        }
        Key::Hop { client, server, protocol, part, from, to } => vec![
            ("client_service", client),
            ("server_service", server),
            ("protocol", protocol),
            ("part", part),
            ("from", from),
            ("to", to),
        ],
    };
    KeyLine { kind: kind(of), words: words(of), fields: fields.into_iter().collect() }
}

fn row(of: &RowCompared) -> RowLine<'_> {
    let estimates = |side: &[Option<Estimate>; 4]| {
        let named = PERMILLES.iter().zip(side).filter_map(|(permille, estimate)| {
            let e = (*estimate)?;
            let name = match permille {
                500 => "p50",
                900 => "p90",
                950 => "p95",
                _ => "p99",
            };
            Some((name, EstimateLine { ns: e.value, low_ns: e.low, high_ns: e.high }))
        });
        named.collect()
    };
    let tested = of.tested.iter().map(|test| TestedLine {
        name: test.name,
        base: test.values[0],
        candidate: test.values[1],
        p: test.p,
        change: test.change.name(),
    });
    RowLine {
        schema: ROW,
        change: of.change.name(),
        key: key(&of.key),
        n: of.n,
        failed_share: of.failed,
        calls_per_request: of.calls,
        bytes_per_call: of.bytes,
        unseen_share: of.unseen,
        base: estimates(&of.percentiles[0]),
        candidate: estimates(&of.percentiles[1]),
        shift_ns: of.shift_ns,
        tested: tested.collect(),
    }
}
