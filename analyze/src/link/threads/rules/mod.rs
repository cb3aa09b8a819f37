//! The rules by which threads and tasks tell a cause, each in a file. One more is a file with a [`Rule`], a [`Way`] and a line in
//! [`RULES`]. Never says how far a rule holds: that is learnt (`reliability.rs`).

use super::minds::{Asking, Minds};
use crate::call::CallIndex;
use crate::link::evidence::Kind;

mod adjacency;
mod hand_backs;
mod hand_offs;
mod tasks;
#[cfg(test)]
mod tests;
mod turns;
mod waits;
mod wake_ups;

/// How long ago something was read, in classes: up to so many nanoseconds, and longer.
const AGES_NS: [i64; 4] = [100_000, 400_000, 1_600_000, 6_400_000];

/// A rule.
pub(in crate::link::threads) trait Rule: Sync {
    /// The kind of evidence that it is.
    fn kind(&self) -> Kind;
    /// Why a call is asked now, if it can tell.
    fn cause(&self, asking: &Asking<'_>, minds: &Minds<'_>) -> Option<Cause>;
}

/// All rules: the first that can tell is heard.
pub(in crate::link::threads) const RULES: &[&dyn Rule] = &[
    &tasks::Alone,
    &tasks::Made,
    &hand_offs::HandedOver,
    &waits::Waits,
    &waits::AnswersNext,
    &hand_backs::GivesBack,
    &wake_ups::Woken,
    &turns::InOrder,
    &adjacency::Adjacent,
];

/// The rule by which a cause was found, in the cases that are more or less reliable by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::link) enum Way {
    /// Who waits for its calls has one request open.
    Waits,
    /// Who waits for its calls answers this one next.
    AnswersNext,
    /// Who waits for its calls gives what it found to a thread that answers this one.
    GivenBack,
    /// Woken by threads that had read nothing else, last so long ago.
    Woken(u8),
    /// A task has one request open.
    Alone,
    /// A task was made by one that has one request open.
    Made,
    /// Of what a loop read it works on this first.
    InOrder,
    /// Nothing else was read since; how long ago, and whether there was a wait for events in between.
    Adjacent(u8, bool),
    /// A task writes for others: the same of the thread that it runs on.
    HandedOver(u8, bool),
    /// The same, on a connection that another call had until just then: whoever waited for one may have got it.
    Freed,
}

impl Way {
    /// How sure it is before anything was learnt, in thousandths.
    pub(in crate::link) fn prior(self) -> u64 {
        let by_age = |age: u8, crossed: bool| {
            [950, 930, 850, 700, 500][usize::from(age.min(4))] - if crossed { 150 } else { 0 }
        };
        match self {
            Way::Waits | Way::Alone => 990,
            Way::AnswersNext => 970,
            Way::Made | Way::GivenBack => 900,
            Way::Woken(age) => by_age(age, false) - 350,
            Way::InOrder => 800,
            Way::Freed => 500,
            Way::Adjacent(age, crossed) => by_age(age, crossed),
            Way::HandedOver(age, crossed) => by_age(age, crossed) - 150,
        }
    }
}

/// The possible causes of a call, as a thread tells them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::link) struct Cause {
    /// Which calls; mostly one.
    pub(in crate::link) parents: Vec<CallIndex>,
    /// How that was found.
    pub(in crate::link) way: Way,
    /// Host and process of whoever asks.
    pub(in crate::link) process: (u32, u32),
    /// Printable.
    pub(in crate::link) reason: String,
}

fn age(ns: i64) -> u8 {
    AGES_NS.iter().position(|&most| ns <= most).unwrap_or(AGES_NS.len()) as u8
}

pub(in crate::link::threads) fn milliseconds(ns: i64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns / 1_000 % 1_000)
}
