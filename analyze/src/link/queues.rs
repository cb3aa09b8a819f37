//! What brokers hand on: which calls publish and which deliver, and where everything that is published under a name is delivered in
//! that order. Never looks at threads or delays.

use crate::call::{Call, CallIndex};
use crate::flow::FlowIndex;
use std::collections::BTreeMap;

/// A subscriber gets everything where so many percent of what was published under the name were delivered to it, and at most as much
/// beyond.
const EVERYTHING: u64 = 90;

/// Whether a call gives a broker something to hand on, or is what the broker hands on.
pub(super) fn is_message(call: &Call) -> bool {
    is_publication(call) || is_delivery(call)
}

fn is_publication(call: &Call) -> bool {
    let (protocol, request_type) = (call.protocol.as_str(), call.request_type.as_str());
    matches!((protocol, request_type), ("nats", "PUB") | ("redis", "PUBLISH" | "SPUBLISH"))
}

fn is_delivery(call: &Call) -> bool {
    let (protocol, request_type) = (call.protocol.as_str(), call.request_type.as_str());
    matches!(
        (protocol, request_type),
        ("nats", "MSG") | ("redis", "MESSAGE" | "SMESSAGE" | "PMESSAGE")
    )
}

/// Whether a broker may have delivered in one what was published in the other.
pub(super) fn delivers(p: &Call, c: &Call) -> bool {
    is_publication(p) && is_delivery(c) && name(p) == name(c)
}

fn name(call: &Call) -> (&str, &str) {
    (&call.protocol, &call.resource)
}

/// A subscriber's connection and a name.
type Subscription<'a> = (FlowIndex, (&'a str, &'a str));

/// Who gets everything.
pub(super) struct Queues<'a> {
    complete: BTreeMap<Subscription<'a>, bool>,
}

impl<'a> Queues<'a> {
    pub(super) fn of(calls: &'a [Call]) -> Queues<'a> {
        let mut n_published: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut n_delivered: BTreeMap<Subscription<'a>, u64> = BTreeMap::new();
        for call in calls {
            if is_publication(call) {
                *n_published.entry(name(call)).or_default() += 1;
            } else if is_delivery(call) {
                *n_delivered.entry((call.spans[0].flow, name(call))).or_default() += 1;
            }
        }
        let is_complete = |(subscription, n): (Subscription<'a>, u64)| {
            let published = n_published.get(&subscription.1).copied().unwrap_or(0);
            let [least, most] = [EVERYTHING, 200 - EVERYTHING].map(|percent| published * percent);
            (subscription, (least..=most).contains(&(n * 100)))
        };
        Queues { complete: n_delivered.into_iter().map(is_complete).collect() }
    }

    /// The subscription of a delivery, if everything under its name is delivered there.
    pub(super) fn complete(
        &self,
        calls: &'a [Call],
        delivery: CallIndex,
    ) -> Option<Subscription<'a>> {
        let call = &calls[delivery as usize];
        let subscription = (call.spans[0].flow, name(call));
        self.complete.get(&subscription)?.then_some(subscription)
    }
}

/// What was delivered so far.
#[derive(Debug, Default)]
pub(super) struct Delivered<'a> {
    last: BTreeMap<Subscription<'a>, CallIndex>,
}

impl<'a> Delivered<'a> {
    /// The first of the publications that comes after what was delivered last.
    pub(super) fn next(
        &self,
        subscription: Subscription<'a>,
        publications: &[CallIndex],
    ) -> Option<CallIndex> {
        let last = self.last.get(&subscription);
        let after = publications.partition_point(|p| last.is_some_and(|last| p <= last));
        publications.get(after).copied()
    }

    pub(super) fn delivers(&mut self, subscription: Subscription<'a>, publication: CallIndex) {
        self.last.insert(subscription, publication);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::shop;

    /// Calls of NATS by their request type, subject and connection.
    fn calls(of: &[(&str, &str, FlowIndex)]) -> Vec<Call> {
        let any = shop().calls[0].clone();
        let call = |(request_type, subject, flow): &(&str, &str, FlowIndex)| {
            let mut call = any.clone();
            (call.protocol, call.request_type) = ("nats".into(), (*request_type).to_string());
            call.resource = (*subject).to_string();
            call.spans[0].flow = *flow;
            call
        };
        of.iter().map(call).collect()
    }

    #[test]
    fn a_subscriber_gets_everything_or_its_share() {
        let calls = calls(&[
            ("PUB", "a", 1),
            ("MSG", "a", 2),
            ("PUB", "a", 1),
            ("MSG", "a", 2),
            ("MSG", "a", 3),
            ("MSG", "b", 2),
        ]);
        let queues = Queues::of(&calls);
        assert!(queues.complete(&calls, 1).is_some());
        assert!(queues.complete(&calls, 4).is_none(), "another subscriber gets the other");
        assert!(queues.complete(&calls, 5).is_none(), "nobody published it");
        assert!(delivers(&calls[0], &calls[1]) && !delivers(&calls[0], &calls[5]));
    }

    #[test]
    fn in_the_order_of_publication() {
        let mut delivered = Delivered::default();
        let subscription = (1, ("nats", "a"));
        assert_eq!(delivered.next(subscription, &[3, 5, 8]), Some(3));
        delivered.delivers(subscription, 5);
        assert_eq!(delivered.next(subscription, &[3, 5, 8]), Some(8), "3 was lost");
        assert_eq!(delivered.next((2, ("nats", "a")), &[3, 5, 8]), Some(3));
        delivered.delivers(subscription, 8);
        assert_eq!(delivered.next(subscription, &[3, 5, 8]), None);
    }
}
