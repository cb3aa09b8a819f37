//! Whoever asks read nothing since but what this came of. By how long ago that was, and whether it waited for events since; a
//! wait that a timer ended is a cause of its own.

use super::{Cause, Rule, Way, age, milliseconds};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// All that was read since the last write.
pub(super) struct Adjacent;

impl Rule for Adjacent {
    fn kind(&self) -> Kind {
        Kind::Adjacency
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let (parents, read_ns) = minds.own(asking)?.adjacent()?;
        let crossed = read_ns < asking.waited_ns;
        if crossed && asking.by_timer {
            return None;
        }
        let ago_ns = asking.entry.at_ns.saturating_sub(read_ns);
        let actor = asking.entry.actor();
        let reason = format!("{actor} read nothing else in the {} before", milliseconds(ago_ns));
        Some(asking.cause(parents, Way::Adjacent(age(ago_ns), crossed), reason))
    }
}
