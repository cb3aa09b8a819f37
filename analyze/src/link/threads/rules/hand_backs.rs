//! A worker that waits for each of its calls and answers nobody (an executor of an event loop) gives what it found to a thread that
//! answers: what it asked before, it asked for the request that is answered then. The future is known here.

use super::{Cause, Rule, Way};
use crate::link::evidence::Kind;
use crate::link::threads::minds::{Asking, Minds};

/// The request that is answered with what the thread gives next.
pub(super) struct GivesBack;

impl Rule for GivesBack {
    fn kind(&self) -> Kind {
        Kind::HandOffs
    }

    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause> {
        let back = asking.given_back.filter(|_| minds.is_patient(asking))?;
        let one_of = match back.requests.len() {
            1 => "this request".to_string(),
            n => format!("{n} requests, one of them this,"),
        };
        let reason = format!(
            "{} gave what it found to the thread that answered {one_of} next",
            asking.entry.actor()
        );
        Some(asking.cause(back.requests.to_vec(), Way::GivenBack, reason))
    }
}
