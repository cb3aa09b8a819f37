//! Calls that were made the moment a connection became free, while no other was: whoever waited for one longest got it, and nobody
//! sees who that was. Times then fit a wrong request as well as the right one. Never says whose a call is.

use super::windows::Windows;
use crate::call::{Call, CallIndex, CallState};
use crate::flow::FlowIndex;
use std::collections::BTreeMap;

/// A connection whose last reply was read so lately was not lying idle.
pub(super) const FREED_NS: i64 = 1_000_000;

/// The connections of one process to one callee.
#[derive(Default)]
struct Pool {
    /// Per connection until when it is taken.
    until: BTreeMap<FlowIndex, i64>,
}

/// Per call, if it got a connection that had just become free while no other was, how many there were. `pool` numbers who is asked.
pub(super) fn contended(
    calls: &[Call],
    windows: &[Windows],
    pool: impl Fn(CallIndex) -> u32,
) -> Vec<Option<usize>> {
    let mut order: Vec<(i64, CallIndex)> =
        (0..).zip(windows).map(|(i, window)| (window.asked_from(), i)).collect();
    order.sort_unstable();
    let mut pools: BTreeMap<(u32, u32), Pool> = BTreeMap::new();
    let mut contended = vec![None; calls.len()];
    for (from, i) in order {
        let call = &calls[i as usize];
        // Several are open on one connection, or none is waited for.
        if matches!(call.protocol.as_str(), "http2" | "grpc" | "dns" | "tls" | "tcp")
            || call.state == CallState::OneWay
        {
            continue;
        }
        let (flow, point) = (call.spans[0].flow, call.spans[0].point);
        let pool = pools.entry((pool(i), point)).or_default();
        let is_idle = |until: &i64| from.saturating_sub(*until) > FREED_NS;
        let is_freed = pool.until.get(&flow).is_some_and(|until| !is_idle(until));
        let is_contended = is_freed && pool.until.len() > 1 && !pool.until.values().any(is_idle);
        contended[i as usize] = is_contended.then_some(pool.until.len());
        pool.until.insert(flow, windows[i as usize].asked_to());
    }
    contended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    const MS: i64 = 1_000_000;

    /// Calls as (connection, from, to) in milliseconds: to how many connections each was held.
    fn check(calls: &[(FlowIndex, i64, i64)], expected: &[Option<usize>]) {
        let shop = shop();
        let call = |&(flow, from, to): &(FlowIndex, i64, i64)| {
            let mut call = shop.calls[0].clone();
            call.spans.truncate(1);
            call.spans[0].flow = flow;
            let times = &mut call.spans[0].times;
            (times.request_first, times.request_last) = (Some(from * MS), Some(from * MS));
            (times.response_first, times.response_last) = (Some(to * MS), Some(to * MS));
            call
        };
        let calls: Vec<Call> = calls.iter().map(call).collect();
        let flows = vec![shop.flows[0].clone(); 10];
        let windows = Windows::of_all(&calls, &shop.points, &flows);
        assert_eq!(contended(&calls, &windows, |_| 0), expected);
    }

    #[test]
    fn only_where_no_other_connection_was_idle() {
        check(&[(1, 0, 10), (2, 0, 20), (1, 10, 15)], &[None, None, Some(2)]);
        check(&[(1, 0, 10), (2, 0, 5), (1, 10, 15)], &[None; 3]);
        check(&[(1, 0, 10), (1, 10, 15)], &[None; 2]);
        check(&[(1, 0, 10), (2, 0, 20), (1, 13, 15)], &[None; 3]);
    }
}
