//! Spans made up for tests become calls; what is expected of them. Never reads a bundle that the project did not write.

use super::*;
use crate::link::Evidence;
use crate::names::Names;
use crate::pipeline::{Config, analyze};
use afterpath_formats::import::spans::write;
use afterpath_formats::table::spans::SpanStatus;
use proptest::prelude::*;
use spans::SpanKind::{Client, Consumer, Internal, Producer, Server};

/// Id, parent (0: none), service, kind, start and end, attributes.
type Made = (u64, u64, &'static str, SpanKind, (i64, i64), &'static str);

fn row(&(id, parent, service, kind, (start_ns, end_ns), attributes): &Made) -> SpanRow {
    SpanRow {
        start_ns,
        end_ns,
        trace_id: [7; 16],
        span_id: id,
        parent_span_id: (parent > 0).then_some(parent),
        service: service.to_string(),
        name: format!("/ask/{id}"),
        kind,
        status: SpanStatus::Unset,
        attributes: (!attributes.is_empty()).then(|| attributes.to_string()),
        ..SpanRow::default()
    }
}

fn analyzed(rows: Vec<SpanRow>) -> crate::analysis::Analysis {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bundle = folder.path().join("x.afterpath");
    write(rows, "spans", &bundle).expect("writable");
    let bundles = Bundles::open(&[bundle]).expect("a bundle");
    analyze(&bundles, &Config { evidence: Evidence::WITHOUT_IDS, ..Config::default() })
}

/// Each call as `client → server protocol type resource status kinds-of-points ← parent`, and the losses.
fn check(spans: &[Made], expected: &[&str], lost: &[&str]) {
    let analysis = analyzed(spans.iter().map(row).collect());
    let names = Names::of(&analysis);
    let call = |call: &Call| {
        let tracer = call.tracer.as_ref().expect("it is a tracer's");
        let ids = [tracer.client_span_id, tracer.server_span_id];
        let [client, server] = ids.map(|id| id.map_or("-".to_string(), |id| id.to_string()));
        let parent = call.link.as_ref().map(|link| {
            let parent = &analysis.calls[link.parent as usize];
            format!(" ← {} {:?}", names.server(&parent.server), link.kind)
        });
        let words = [&call.protocol, &call.request_type, &call.resource, &call.status];
        let words: Vec<&str> =
            words.into_iter().map(|w| if w.is_empty() { "-" } else { w }).collect();
        format!(
            "{client}/{server} {} → {} {}{}",
            names.client(&analysis, call),
            names.server(&call.server),
            words.join(" "),
            parent.unwrap_or_default()
        )
    };
    assert_eq!(analysis.calls.iter().map(call).collect::<Vec<_>>(), expected);
    let losses = analysis.losses.iter().map(|loss| format!("{} {}", loss.cause, loss.count));
    assert_eq!(losses.collect::<Vec<_>>(), lost);
    for call in &analysis.calls {
        let sum: i64 = call.hops.iter().map(|hop| hop.total_ns).sum();
        assert_eq!(Some(sum), call.times().duration_ns().or(Some(0)));
    }
}

#[test]
fn client_and_server_are_one_call_and_internal_spans_lead_to_it() {
    check(
        &[
            (
                1,
                0,
                "a",
                Server,
                (100, 200),
                r#"{"http.method":"GET","http.target":"/x?y=1","http.status_code":503}"#,
            ),
            (2, 1, "a", Internal, (110, 190), ""),
            (
                3,
                2,
                "a",
                Client,
                (120, 180),
                r#"{"rpc.system":"grpc","rpc.service":"b.B","rpc.method":"Get"}"#,
            ),
            (4, 3, "b", Server, (5_000, 5_040), r#"{"rpc.grpc.status_code":14}"#),
        ],
        &[
            "-/1 unknown → a http GET /x?y=1 503",
            "3/4 a → b grpc POST /b.B/Get UNAVAILABLE ← a Work",
        ],
        &[],
    );
}

#[test]
fn shared_ids_are_one_call_too() {
    check(
        &[
            (1, 0, "a", Server, (100, 200), ""),
            (2, 1, "a", Client, (120, 180), ""),
            (2, 1, "b", Server, (125, 170), ""),
            (
                3,
                2,
                "b",
                Client,
                (130, 140),
                r#"{"db.system":"redis","db.statement":"GET k","net.peer.name":"cache"}"#,
            ),
        ],
        &[
            "-/1 unknown → a span - /ask/1 -",
            "2/2 a → b span - /ask/2 - ← a Work",
            "3/- b → cache redis GET GET k - ← b Work",
        ],
        &[],
    );
}

#[test]
fn who_is_asked_twice_over_one_client_answers_two_calls() {
    check(
        &[
            (1, 0, "a", Client, (100, 200), ""),
            (2, 1, "b", Server, (110, 120), ""),
            (3, 1, "b", Server, (130, 140), ""),
        ],
        &["1/2 a → b span - /ask/2 -", "-/3 a → b span - /ask/3 -"],
        &[],
    );
}

#[test]
fn messages_are_delivered() {
    const TO: &str = r#"{"messaging.system":"nats","messaging.destination.name":"orders"}"#;
    check(
        &[
            (1, 0, "a", Server, (100, 200), ""),
            (2, 1, "a", Producer, (120, 121), TO),
            (3, 2, "b", Consumer, (9_000, 9_100), TO),
            (4, 3, "b", Client, (9_010, 9_020), r#"{"peer.service":"store"}"#),
        ],
        &[
            "-/1 unknown → a span - /ask/1 -",
            "2/- a → nats nats PUB orders - ← a Work",
            "-/3 nats → b nats MSG orders - ← nats Queue",
            "4/- b → store span - /ask/4 - ← b Work",
        ],
        &[],
    );
}

#[test]
fn a_child_that_outlives_its_parent_is_still_its_child() {
    check(
        &[
            (1, 0, "a", Server, (100, 200), ""),
            (2, 1, "a", Client, (150, 900), r#"{"peer.service":"b"}"#),
        ],
        &["-/1 unknown → a span - /ask/1 -", "2/- a → b span - /ask/2 - ← a Work"],
        &[],
    );
}

#[test]
fn what_leads_nowhere_is_counted() {
    check(
        &[
            (1, 9, "a", Server, (100_000, 200_000), ""),
            (2, 0, "a", Internal, (300_000, 400_000), ""),
            (3, 2, "a", Client, (310_000, 320_000), r#"{"peer.service":"b"}"#),
            (4, 4, "a", Client, (510_000, 520_000), r#"{"peer.service":"b"}"#),
            (4, 4, "a", Client, (510_000, 520_000), r#"{"peer.service":"b"}"#),
        ],
        &[
            "-/1 unknown → a span - /ask/1 -",
            "3/- a → b span - /ask/3 -",
            "4/- a → b span - /ask/4 -",
        ],
        &["duplicate-span 1", "internal-root 1", "parent-missing 2"],
    );
}

#[test]
fn replicas_have_points_and_clocks_of_their_own() {
    let mut rows = [(1, 0, "a", Server, (100, 200), ""), (2, 0, "a", Server, (100, 200), "")]
        .iter()
        .map(row)
        .collect::<Vec<_>>();
    rows[1].instance = Some("a-2".into());
    let analysis = analyzed(rows);
    assert_eq!(analysis.domains, ["service a (a)", "service a (a-2)"]);
    let labels: Vec<String> = analysis.points.iter().map(Point::label).collect();
    assert_eq!(labels, ["a", "a-2/a"]);
}

proptest! {
    /// Any spans at all: few ids, so that they collide, share and go in circles; times as far apart as can be.
    #[test]
    fn no_spans_are_too_odd(made in prop::collection::vec(
        (0_u64..6, 0_u64..6, 0..3_usize, 0..6_u64, any::<i64>(), any::<i64>(), any::<bool>()), 0..24)
    ) {
        let rows = made.into_iter().map(|(id, parent, service, kind, start_ns, long, is_near)| {
            let start_ns = if is_near { start_ns & 0xff } else { start_ns };
            let long = if is_near { long & 0xff } else { long };
            SpanRow {
                span_id: id,
                parent_span_id: (parent > 0).then_some(parent),
                service: ["a", "b", "c"][service].to_string(),
                kind: SpanKind::of(kind),
                start_ns,
                end_ns: start_ns.saturating_add(long),
                ..SpanRow::default()
            }
        });
        let analysis = analyzed(rows.collect());
        for call in &analysis.calls {
            prop_assert!(!call.spans.is_empty());
        }
    }
}
