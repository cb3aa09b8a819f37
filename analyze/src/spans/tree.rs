//! Spans by their ids: which two are one call, and what caused which. Never looks at times, which are of different clocks, but to put
//! several servers of one client in order.

use afterpath_formats::span_kinds::kinds;
use afterpath_formats::table::spans::{SpanKind, SpanRow};
use std::collections::BTreeMap;

/// So many internal spans lie at most between a request and a call.
const MOST_BETWEEN: usize = 10_000;

/// All spans, in the order of their ids.
pub(super) struct Tree {
    pub(super) rows: Vec<SpanRow>,
    /// Per client its server, per server its client.
    partner: Vec<Option<usize>>,
}

/// What caused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// This span: a server's or consumer's; to a consumer, a producer's.
    Row(usize),
    /// Nobody is named.
    None,
    /// A span that is not there.
    Missing,
    /// A span that is no request: a job, a timer.
    Internal,
}

impl Tree {
    /// Without spans that are there twice, or whose times make no sense: these are counted by cause.
    pub(super) fn of(mut rows: Vec<SpanRow>, losses: &mut BTreeMap<String, u64>) -> Tree {
        let mut lost = |cause: &str, n: usize| {
            if n > 0 {
                *losses.entry(cause.to_string()).or_default() += n as u64;
            }
        };
        let n = rows.len();
        rows.retain(SpanRow::has_times);
        lost("no-span-time", n - rows.len());
        let kinds = kinds(&rows);
        rows.iter_mut().zip(kinds).for_each(|(row, kind)| row.kind = kind);
        rows.sort_by(|a, b| key(a).cmp(&key(b)).then(a.end_ns.cmp(&b.end_ns)));
        let n = rows.len();
        rows.dedup_by(|a, b| key(a) == key(b));
        lost("duplicate-span", n - rows.len());
        let mut tree = Tree { partner: vec![None; rows.len()], rows };
        tree.pair();
        tree
    }

    /// Each server goes to the client that shares its id, or that it names; of several servers the first.
    fn pair(&mut self) {
        let is_server = |row: &usize| self.rows[*row].kind == SpanKind::Server;
        let mut servers: Vec<usize> = (0..self.rows.len()).filter(is_server).collect();
        servers.sort_by_key(|row| (self.rows[*row].start_ns, *row));
        for server in servers {
            let row = &self.rows[server];
            let is_free = |client: &usize| {
                self.rows[*client].kind == SpanKind::Client && self.partner[*client].is_none()
            };
            let sharing = self.named(row.trace_id, row.span_id).find(is_free);
            let asking = || self.named(row.trace_id, row.parent_span_id?).find(is_free);
            if let Some(client) = sharing.or_else(asking) {
                self.partner[client] = Some(server);
                self.partner[server] = Some(client);
            }
        }
    }

    /// The spans of an id; a client and a server may share it.
    fn named(&self, trace: [u8; 16], span: u64) -> impl Iterator<Item = usize> + '_ {
        let of = |row: &SpanRow| (row.trace_id, row.span_id);
        let from = self.rows.partition_point(|row| of(row) < (trace, span));
        (from..self.rows.len()).take_while(move |at| of(&self.rows[*at]) == (trace, span))
    }

    /// Clients and servers of all calls: pairs, and what is alone.
    pub(super) fn calls(&self) -> Vec<(Option<usize>, Option<usize>)> {
        let call = |row: usize| match (self.rows[row].kind, self.partner[row]) {
            (SpanKind::Client | SpanKind::Producer, server) => Some((Some(row), server)),
            (SpanKind::Server | SpanKind::Consumer, None) => Some((None, Some(row))),
            _ => None,
        };
        (0..self.rows.len()).filter_map(call).collect()
    }

    /// The span that this one names as its parent: of those that share the id the one that answers in this span's service, else any other.
    pub(super) fn parent(&self, of: usize) -> Option<usize> {
        let row = &self.rows[of];
        let rank = |at: &usize| {
            let (parent, own) = (&self.rows[*at], row.kind.is_asked());
            let is_here = parent.service == row.service;
            // Who was asked looks for who asked, who asks for what it was asked.
            (is_here == own, parent.kind.is_asked() == own)
        };
        self.named(row.trace_id, row.parent_span_id?).filter(|at| *at != of).min_by_key(rank)
    }

    /// What caused the call that begins with this span: internal spans, and calls within calls, are passed by.
    pub(super) fn cause(&self, of: usize) -> Cause {
        let is_delivery = self.rows[of].kind == SpanKind::Consumer;
        let mut at = of;
        for _ in 0..MOST_BETWEEN {
            if self.rows[at].parent_span_id.is_none() {
                let is_job = at != of && !self.rows[at].kind.asks();
                return if is_job { Cause::Internal } else { Cause::None };
            }
            let Some(parent) = self.parent(at) else { return Cause::Missing };
            match self.rows[parent].kind {
                SpanKind::Server | SpanKind::Consumer => return Cause::Row(parent),
                SpanKind::Producer if is_delivery => return Cause::Row(parent),
                _ => at = parent,
            }
        }
        // In a circle.
        Cause::Missing
    }
}

fn key(row: &SpanRow) -> ([u8; 16], u64, SpanKind, &str, i64) {
    (row.trace_id, row.span_id, row.kind, &row.service, row.start_ns)
}
