//! A task that only writes for others (the writer of a connection in Go's HTTP client) asks for whoever ran on its thread just
//! before. But a connection that was freed just then goes to whoever waited for it longest, and whoever freed it ran before: that is
//! told apart.

use super::{Cause, Rule, Way, age, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};
use crate::link::threads::timeline::Actor;

/// What the thread read last, whoever ran on it.
pub(super) struct HandedOver;

impl Rule for HandedOver {
    fn kind(&self) -> Kind {
        Kind::HandOffs
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let (entry, task) = (asking.entry, asking.entry.task?);
        let is_own = minds.own(asking).is_some_and(|own| own.knows());
        if is_own || !minds.writes_for_others(entry.host, task) {
            return None;
        }
        let (parents, read_ns) = minds.of(entry.host, Actor::Thread(entry.tid))?.adjacent()?;
        let ago_ns = entry.at_ns.saturating_sub(read_ns);
        let reason = format!(
            "goroutine {} ran on thread {}, which read nothing else in the {} before",
            task.id,
            entry.tid,
            milliseconds(ago_ns)
        );
        let way = match asking.is_freed {
            true => Way::Freed,
            false => Way::HandedOver(age(ago_ns), read_ns < asking.waited_ns),
        };
        Some(asking.cause(parents, way, reason))
    }
}
