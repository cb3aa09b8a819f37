//! Why a call has the parent it has, or none, in words. Never shortens a reason.

use crate::call::{Call, Link, LinkKind, NoParent};
use crate::quantity::plural;

/// What is known of a call's parent.
pub(in crate::report) fn text(call: &Call) -> String {
    match (&call.link, call.no_parent.as_deref()) {
        (Some(link), _) => link_text(link),
        (None, Some(none)) => no_parent_text(none),
        (None, None) if call.spans.len() > 1 || !call.client.host.is_empty() => {
            "parent not recorded, or none: the trace begins here".to_owned()
        }
        (None, None) => "parent not recorded: no point near the client".to_owned(),
    }
}

fn link_text(link: &Link) -> String {
    let kind = match link.kind {
        LinkKind::Relay => "relay",
        LinkKind::Work => "work",
        LinkKind::Queue => "queue",
    };
    let ambiguous = match link.candidates {
        0 | 1 => String::new(),
        k => format!(" · ambiguous, {k} candidates"),
    };
    format!("{kind} · confidence {:.2}{ambiguous} · {}", link.confidence, link.evidence.join("; "))
}

fn no_parent_text(none: &NoParent) -> String {
    let NoParent { confidence, candidates, evidence } = none;
    let possible = plural(u64::from(*candidates), "request");
    let reasons = evidence.join("; ");
    format!("no recorded parent · confidence {confidence:.2} · {reasons}; {possible} possible")
}
