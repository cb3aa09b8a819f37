//! An event loop that reads several sockets before it works on any (asyncio, haproxy) works in the order in which it read. Said only
//! of loops whose answers, which are known, came in that order (`turn.rs`).

use super::{Cause, Rule, Way, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// The first read that nothing was written for yet.
pub(super) struct InOrder;

impl Rule for InOrder {
    fn kind(&self) -> Kind {
        Kind::Turns
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        if !minds.is_orderly(asking) {
            return None;
        }
        let (first, behind) = minds.own(asking)?.turn.next(|parent| asking.is_possible(parent))?;
        let ago = milliseconds(asking.entry.at_ns.saturating_sub(first.at_ns));
        let actor = asking.entry.actor();
        let reason = format!("{actor} read it {ago} before, first of {} in this turn", behind + 1);
        Some(asking.cause(first.causes.clone(), Way::InOrder, reason))
    }
}
