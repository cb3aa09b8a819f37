//! Who was woken by other threads since it read last, and whose own last request is over, works for something that one of these had
//! read last. Locks wake threads, too: what a thread read itself, and is being served still, comes first.

use super::{Cause, Rule, Way, age, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// What the threads that woke it had on their minds.
pub(super) struct Woken;

impl Rule for Woken {
    fn kind(&self) -> Kind {
        Kind::HandOffs
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let own = minds.own(asking).filter(|_| asking.entry.task.is_none())?;
        let woken = own.woken()?;
        let read = own.adjacent().map(|(parents, _)| parents).unwrap_or_default();
        if read.iter().any(|parent| asking.is_possible(*parent)) {
            return None;
        }
        let ago_ns = asking.entry.at_ns.saturating_sub(woken.at_ns);
        let reason = format!(
            "who woke {}, last {} before, had read nothing else",
            asking.entry.actor(),
            milliseconds(ago_ns)
        );
        Some(asking.cause(woken.causes, Way::Woken(age(ago_ns)), reason))
    }
}
