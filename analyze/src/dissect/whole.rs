//! What all partitions gave, put together in their order: flows get their numbers for good here, and whatever names a flow is told. Never
//! dissects.

use super::redirected::Torn;
use super::sockets::Recorded;
use super::sockets::log::Sockets;
use super::{Dissected, FlowFacts, Unused};
use crate::flow::Flow;
use crate::loss::Loss;
use crate::pair::Span;
use crate::point::Point;

/// The results of all partitions so far.
#[derive(Default)]
pub struct Whole {
    /// All flows.
    pub flows: Vec<Flow>,
    /// What else is known of each.
    pub facts: Vec<FlowFacts>,
    /// Spans of all flows.
    pub spans: Vec<Span>,
    /// Packets they are made of.
    pub n_packets: u64,
    /// Socket events they are made of.
    pub n_socket_events: u64,
    /// What sockets tell beside streams.
    pub sockets: Sockets,
    /// What could not be used, and was lost.
    pub losses: Vec<Loss>,
}

impl Whole {
    /// One partition's.
    pub fn add(&mut self, dissected: Dissected, losses: Vec<Loss>, points: &[Point]) {
        let offset = self.flows.len() as u32;
        self.flows.extend(dissected.flows);
        self.facts.extend(dissected.facts);
        self.spans.extend(dissected.spans.into_iter().map(|mut span| {
            span.flow += offset;
            span
        }));
        self.n_packets += dissected.n_packets;
        let logs = dissected.logs.into_iter().map(|(flow, log)| (flow + offset, log));
        self.sockets.logs.extend(logs);
        self.losses.extend(losses);
        self.unused(dissected.unused, points);
    }

    /// Puts connections, dissected as wholes, in the place of those that redirections tore, among the flows from `first` on.
    pub fn replace(&mut self, first: usize, torn: &Torn, whole: Dissected, points: &[Point]) {
        let is_half: Vec<bool> =
            self.flows.iter().enumerate().map(|(i, f)| i >= first && torn.has(f)).collect();
        let mut place = 0;
        let places: Vec<u32> = is_half
            .iter()
            .map(|half| {
                place += u32::from(!half);
                place - u32::from(!half)
            })
            .collect();
        let mut keep = is_half.iter().map(|half| !half);
        self.flows.retain(|_| keep.next().unwrap_or(true));
        let mut keep = is_half.iter().map(|half| !half);
        self.facts.retain(|_| keep.next().unwrap_or(true));
        self.spans.retain_mut(|span| {
            let is_kept = !is_half[span.flow as usize];
            span.flow = places[span.flow as usize];
            is_kept
        });
        // Its packets were counted as those of the halves.
        self.add(Dissected { n_packets: 0, ..whole }, Vec::new(), points);
    }

    /// What could not be used, by point and cause.
    pub fn unused(&mut self, unused: Unused, points: &[Point]) {
        self.losses.extend(unused.into_iter().map(|((point, cause), count)| Loss {
            place: points[point as usize].label(),
            cause: cause.to_string(),
            count,
        }));
    }

    /// What is known of a host's threads and clock, and what could not be read of it.
    pub fn add_host(&mut self, recorded: &Recorded) {
        self.n_socket_events += recorded.n_events;
        self.sockets.waits.extend(recorded.waits());
        self.sockets.signals.extend(recorded.signals());
        self.sockets.tasks.extend(recorded.tasks());
        self.sockets.sets.extend(recorded.sets());
        self.sockets.bounds_ns.insert(recorded.host, recorded.bound_ns());
        self.losses.extend(recorded.losses.iter().cloned());
    }

    /// Flows in (point, client, server, first time) order, whatever the partitions were.
    pub fn sort_flows(&mut self) {
        let mut order: Vec<u32> = (0..self.flows.len() as u32).collect();
        order.sort_by_key(|&i| {
            let flow = &self.flows[i as usize];
            (flow.point, flow.client, flow.server, flow.first_ns, i)
        });
        let mut new_index = vec![0u32; order.len()];
        order.iter().enumerate().for_each(|(new, &old)| new_index[old as usize] = new as u32);
        let mut flows: Vec<Option<Flow>> =
            std::mem::take(&mut self.flows).into_iter().map(Some).collect();
        self.flows = order.iter().filter_map(|&i| flows[i as usize].take()).collect();
        self.facts = order.iter().map(|&i| self.facts[i as usize]).collect();
        let logs = std::mem::take(&mut self.sockets.logs).into_iter();
        self.sockets.logs = logs.map(|(flow, log)| (new_index[flow as usize], log)).collect();
        self.spans.iter_mut().for_each(|span| span.flow = new_index[span.flow as usize]);
    }
}
