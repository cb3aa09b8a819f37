//! Calls and links → traces: trees by following parents. Cycles, which only contradicting clocks or ids can make, are cut
//! at the least certain link. Never invents a link.

use crate::call::{Call, CallIndex, Trace};

/// Builds the traces and tells every call the one it belongs to.
pub fn assemble(calls: &mut [Call]) -> Vec<Trace> {
    cut_cycles(calls);
    let mut children: Vec<Vec<CallIndex>> = vec![Vec::new(); calls.len()];
    let mut roots = Vec::new();
    for (i, call) in calls.iter().enumerate() {
        match &call.link {
            Some(link) => children[link.parent as usize].push(i as CallIndex),
            None => roots.push(i as CallIndex),
        }
    }
    let mut traces = Vec::with_capacity(roots.len());
    for root in roots {
        let members = depth_first(root, &children);
        for &member in &members {
            calls[member as usize].trace = traces.len() as u32;
        }
        traces.push(Trace { id: calls[root as usize].id, root, calls: members });
    }
    traces
}

/// Calls are sorted by time, so children come in start order.
fn depth_first(root: CallIndex, children: &[Vec<CallIndex>]) -> Vec<CallIndex> {
    let (mut order, mut stack) = (Vec::new(), vec![root]);
    while let Some(call) = stack.pop() {
        order.push(call);
        stack.extend(children[call as usize].iter().rev());
    }
    order
}

fn cut_cycles(calls: &mut [Call]) {
    const UNSEEN: u32 = u32::MAX;
    let mut walk_of = vec![UNSEEN; calls.len()];
    for start in 0..calls.len() {
        let mut at = start;
        let mut way = Vec::new();
        while walk_of[at] == UNSEEN {
            walk_of[at] = start as u32;
            way.push(at);
            match &calls[at].link {
                Some(link) => at = link.parent as usize,
                None => break,
            }
        }
        let met = way.iter().position(|&x| x == at && calls[at].link.is_some());
        if let Some(from) = met.filter(|&from| from + 1 < way.len() || closes_on_itself(calls, at))
        {
            cut_weakest(calls, &way[from..]);
        }
    }
}

fn closes_on_itself(calls: &[Call], at: usize) -> bool {
    calls[at].link.as_ref().is_some_and(|link| link.parent as usize == at)
}

fn cut_weakest(calls: &mut [Call], cycle: &[usize]) {
    let confidence = |i: usize| calls[i].link.as_ref().map_or(1.0, |l| l.confidence);
    let weakest = cycle.iter().copied().min_by(|&a, &b| confidence(a).total_cmp(&confidence(b)));
    if let Some(weakest) = weakest {
        calls[weakest].link = None;
    }
}
