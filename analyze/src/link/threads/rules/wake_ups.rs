//! Who was woken by another thread, and whose own last request is over, works for whatever the other one had read last. Locks wake
//! threads, too: what a thread read itself, and is being served still, comes first.

use super::{Cause, Rule, Way, age, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// What the thread that woke it had on its mind.
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
            "thread {} had read nothing else when it woke {} {} before",
            woken.by,
            asking.entry.actor(),
            milliseconds(ago_ns)
        );
        Some(asking.cause(woken.causes.clone(), Way::Woken(age(ago_ns)), reason))
    }
}
