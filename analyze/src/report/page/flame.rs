//! What all traces waited for, as a tree: who asked what of whom, and how much of their time lay there. Its widths sum up: each call counts
//! with its own parts on the path that made its trace as long as it was.

use super::View;
use crate::call::{Call, CallIndex};
use crate::measure;
use serde::Serialize;
use std::collections::BTreeMap;

/// A call by its service and route, under what asked for it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Frame {
    service: String,
    request: String,
    n: u64,
    n_failed: u64,
    /// Its own and that of all under it, nanoseconds.
    ns: i64,
    /// Its server's own work.
    own_ns: i64,
    /// Its way: network, forwarding, queues.
    way_ns: i64,
    children: Vec<Frame>,
}

/// Frames of less than this share of all time (1/1,000) stand together as one.
const LEAST: i64 = 1_000;

#[derive(Default)]
struct Node {
    frame: Frame,
    children: BTreeMap<(String, String), Node>,
}

/// Over all traces.
pub(super) fn of(view: &View<'_>) -> Frame {
    let mut all = Node::default();
    for trace in &view.analysis.traces {
        let mut paths: BTreeMap<CallIndex, Vec<(String, String)>> = BTreeMap::new();
        for index in &trace.calls {
            let Some(call) = view.analysis.calls.get(*index as usize) else { continue };
            let parent = call.link.as_ref().and_then(|link| paths.get(&link.parent));
            let mut path = parent.cloned().unwrap_or_default();
            path.push(key(view, call));
            count(&mut all, &path, call);
            paths.insert(*index, path);
        }
        all.frame.n += 1;
    }
    let least_ns = all.frame.ns / LEAST;
    finished(all, least_ns)
}

fn key(view: &View<'_>, call: &Call) -> (String, String) {
    let asked = match call.route.as_str() {
        "" => measure::request(call),
        route => match call.request_type.as_str() {
            kind if kind.is_empty() || route.starts_with(kind) => route.to_string(),
            kind => format!("{kind} {route}"),
        },
    };
    (view.names.server(&call.server), asked)
}

fn count(all: &mut Node, path: &[(String, String)], call: &Call) {
    let (path_ns, own_ns) = call.critical.map_or((0, 0), |c| (c.path_ns, c.self_ns));
    all.frame.ns = all.frame.ns.saturating_add(path_ns);
    let mut node = all;
    for key in path {
        node = node.children.entry(key.clone()).or_default();
        node.frame.ns = node.frame.ns.saturating_add(path_ns);
    }
    let frame = &mut node.frame;
    frame.n += 1;
    frame.n_failed += u64::from(call.failed());
    frame.own_ns = frame.own_ns.saturating_add(own_ns);
    frame.way_ns = frame.way_ns.saturating_add(path_ns.saturating_sub(own_ns));
}

fn finished(node: Node, least_ns: i64) -> Frame {
    let mut frame = node.frame;
    let mut rest = Frame { request: "others".to_string(), ..Frame::default() };
    for ((service, request), child) in node.children {
        if child.frame.ns <= least_ns {
            rest.n += child.frame.n;
            rest.ns = rest.ns.saturating_add(child.frame.ns);
            continue;
        }
        frame.children.push(Frame { service, request, ..finished(child, least_ns) });
    }
    frame.children.sort_by_key(|child| std::cmp::Reverse(child.ns));
    if rest.n > 0 {
        frame.children.push(rest);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Analysis;
    use crate::report::page::Wanted;
    use crate::report::{Zone, sample};

    fn check_sums(frame: &Frame) {
        let children: i64 = frame.children.iter().map(|child| child.ns).sum();
        assert_eq!(frame.own_ns + frame.way_ns + children, frame.ns, "{frame:?}");
        frame.children.iter().filter(|child| child.request != "others").for_each(check_sums);
    }

    fn check(analysis: &Analysis) {
        let wanted = Wanted { title: String::new(), most_traces: 10, zone: Zone::UTC };
        let view = View::of(analysis, &wanted);
        let all = of(&view);
        assert_eq!(all.n, analysis.traces.len() as u64);
        check_sums(&all);
    }

    #[test]
    fn what_stands_under_a_frame_and_its_own_is_the_whole() {
        check(&sample::shop());
        check(&sample::recorded());
        check(&Analysis::default());
    }
}
