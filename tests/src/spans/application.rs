//! A small application, simulated from a seed: services that work in parallel and one after the other, retry, skip calls when a cache
//! hits, on clocks that disagree. Same seed, same spans. It never imitates a particular application.

use crate::generate::random::Random;
use afterpath_formats::table::spans::{SpanKind, SpanRow, SpanStatus};

/// When the first request comes: 2026-01-01T00:00:00Z.
const START_NS: i64 = 1_767_225_600_000_000_000;
/// So long takes the way between two services, at least.
const WAY_NS: u64 = 100_000;

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Recipe {
    /// Of everything.
    pub seed: u64,
    /// Requests from outside.
    pub n_traces: u32,
    /// Between their starts on average, nanoseconds.
    pub spacing_ns: u64,
}

/// A call that a service makes while it works on a request.
struct Step {
    to: &'static str,
    operation: &'static str,
    /// Whether it begins with the one before it.
    is_beside: bool,
    /// Share of requests in which it is not needed, in percent.
    skipped: u64,
    /// Share of calls that fail and are made again, in percent.
    fails: u64,
}

const fn step(to: &'static str, operation: &'static str) -> Step {
    Step { to, operation, is_beside: false, skipped: 0, fails: 0 }
}

/// What each service does, by its name.
fn steps(service: &str) -> Vec<Step> {
    match service {
        "shop" => vec![
            step("search", "/shop.Search/Find"),
            Step { is_beside: true, ..step("offers", "/shop.Offers/Today") },
            step("basket", "/shop.Basket/Get"),
        ],
        "search" => vec![
            Step { skipped: 40, ..step("stock", "/shop.Stock/List") },
            Step { fails: 5, ..step("prices", "/shop.Prices/Of") },
        ],
        "offers" => vec![Step { skipped: 20, ..step("prices", "/shop.Prices/Of") }],
        _ => Vec::new(),
    }
}

/// Replicas of each service.
const REPLICAS: u64 = 2;

/// The spans, trace by trace.
pub fn spans(recipe: Recipe) -> Vec<SpanRow> {
    let mut making = Making { random: Random::new(recipe.seed), rows: Vec::new(), trace: 0 };
    let mut at = 0;
    for trace in 1..=recipe.n_traces {
        making.trace = u128::from(trace) << 64 | u128::from(making.random.next() | 1);
        making.serve("shop", "GET /", None, START_NS as u64 + at);
        at += making.random.below(2 * recipe.spacing_ns);
    }
    making.rows
}

struct Making {
    random: Random,
    rows: Vec<SpanRow>,
    trace: u128,
}

impl Making {
    /// A service answers a request that arrives at a true time; gives when it has.
    fn serve(&mut self, service: &str, operation: &str, parent: Option<u64>, at: u64) -> u64 {
        let instance = self.random.below(REPLICAS);
        let own = self.span(service, instance, operation, SpanKind::Server, parent, at);
        let mut now = at + self.random.spread(50_000, 4);
        // Half of the work goes on in a span of its own.
        let inner = match self.random.percent(50) {
            true => self.span(service, instance, "work", SpanKind::Internal, Some(own), now),
            false => own,
        };
        let mut until = now;
        for step in steps(service) {
            if self.random.percent(step.skipped) {
                continue;
            }
            now = if step.is_beside { now } else { until };
            let begin = now + self.random.spread(20_000, 5);
            let mut end = self.ask(service, instance, &step, inner, begin);
            if self.random.percent(step.fails) {
                self.fail();
                let pause = self.random.spread(100_000, 3);
                end = self.ask(service, instance, &step, inner, end + pause);
            }
            until = until.max(end);
        }
        let end = until.max(now) + self.random.spread(50_000, 3);
        if inner != own {
            self.end(inner, end - 1_000);
        }
        self.end(own, end);
        end
    }

    fn ask(&mut self, service: &str, instance: u64, step: &Step, parent: u64, at: u64) -> u64 {
        let client =
            self.span(service, instance, step.operation, SpanKind::Client, Some(parent), at);
        let arrives = at + WAY_NS + self.random.below(WAY_NS);
        let answered = self.serve(step.to, step.operation, Some(client), arrives);
        let end = answered + WAY_NS + self.random.below(WAY_NS);
        self.end(client, end);
        end
    }

    /// The call that was made last went wrong.
    fn fail(&mut self) {
        let last = self.rows.iter_mut().rev().find(|row| row.kind == SpanKind::Client);
        last.into_iter().for_each(|row| row.status = SpanStatus::Error);
    }

    fn span(
        &mut self,
        service: &str,
        instance: u64,
        name: &str,
        kind: SpanKind,
        parent: Option<u64>,
        at: u64,
    ) -> u64 {
        let id = self.random.next() | 1;
        let start_ns = at as i64 + clock(service, instance);
        self.rows.push(SpanRow {
            start_ns,
            end_ns: start_ns,
            trace_id: self.trace.to_be_bytes(),
            span_id: id,
            parent_span_id: parent,
            service: service.to_string(),
            instance: Some(format!("{service}-{instance}")),
            name: name.to_string(),
            kind,
            status: SpanStatus::Unset,
            attributes: match kind {
                SpanKind::Internal => None,
                _ => Some(r#"{"rpc.system":"grpc"}"#.to_string()),
            },
        });
        id
    }

    fn end(&mut self, id: u64, at: u64) {
        let row = self.rows.iter_mut().rev().find(|row| row.span_id == id);
        let row = row.expect("what ends has begun");
        let instance =
            row.instance.as_deref().and_then(|name| name.rsplit('-').next()?.parse().ok());
        row.end_ns = at as i64 + clock(&row.service, instance.unwrap_or(0));
    }
}

/// How far an instance's clock is off: up to some seconds, either way.
fn clock(service: &str, instance: u64) -> i64 {
    let seed = service.bytes().fold(instance + 1, |sum, byte| sum * 31 + u64::from(byte));
    Random::new(seed).below(6_000_000_000) as i64 - 3_000_000_000
}
