//! Who waits for each of its calls works on one request at a time: on the one that it read, or, where requests are handed from
//! thread to thread, on the one that it answers next: the future is known here. Tasks have rules of their own.

use super::{Cause, Rule, Way};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// The one request that the thread has open.
pub(super) struct Waits;

/// The request that the thread answers next.
pub(super) struct AnswersNext;

impl Rule for Waits {
    fn kind(&self) -> Kind {
        Kind::Waits
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        minds.is_patient(asking).then(|| minds.own(asking)?.alone(asking, Way::Waits))?
    }
}

impl Rule for AnswersNext {
    fn kind(&self) -> Kind {
        Kind::Waits
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let call = asking.next.filter(|_| minds.is_patient(asking))?;
        let actor = asking.entry.actor();
        let reason = format!("{actor} waits for each of its calls, and answered this request next");
        Some(asking.cause(vec![call], Way::AnswersNext, reason))
    }
}
