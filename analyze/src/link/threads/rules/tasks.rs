//! A task that a runtime shows (a goroutine) has one request open, or was made by one that has. A task that writes for others has
//! a rule of its own (`hand_offs.rs`).

use super::{Cause, Rule, Way, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};
use crate::link::threads::timeline::Actor;

/// So many makers up the request is looked for: Go's HTTP client dials in one task, which makes another that writes.
const MAX_MAKERS: usize = 3;

/// The one request that the task has open.
pub(super) struct Alone;

/// The only request that the task's maker has open, or that one's.
pub(super) struct Made;

impl Rule for Alone {
    fn kind(&self) -> Kind {
        Kind::Tasks
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        asking.entry.task?;
        minds.own(asking)?.alone(asking, Way::Alone)
    }
}

impl Rule for Made {
    fn kind(&self) -> Kind {
        Kind::Tasks
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let (host, task) = (asking.entry.host, asking.entry.task?);
        if minds.writes_for_others(host, task) || minds.own(asking).is_some_and(|own| own.knows()) {
            return None;
        }
        let mut maker = task;
        for _ in 0..MAX_MAKERS {
            maker = minds.maker(host, maker)?;
            match minds.of(host, Actor::Task(maker)).map_or(&[][..], |mind| mind.open()) {
                [] => {}
                [(call, read_ns)] => {
                    let ago = milliseconds(asking.entry.at_ns.saturating_sub(*read_ns));
                    let reason = format!(
                        "goroutine {} was made by goroutine {}, which read it {ago} before, and had no other",
                        task.id, maker.id
                    );
                    return Some(asking.cause(vec![*call], Way::Made, reason));
                }
                _ => return None,
            }
        }
        None
    }
}
