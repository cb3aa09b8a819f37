//! What is usual between a request and the calls made for it, learnt from links that are nearly sure: one kind of evidence a file,
//! each with a line in [`USUAL`]. Counts that add up, read as logarithms in thousandths (milli-nats), so that sums are the same on
//! every machine. Never looks at threads.

use super::evidence::{Evidence, Kind};
use super::pair::{Pair, Whole};

mod content;
mod contrast;
mod counts;
mod delays;
mod histogram;
mod sizes;

pub(super) use content::Words;

/// What is usual counts for so many thousandths of itself: delays, words and counts of the same calls say much the same, and were learnt from
/// links that were found by them. Chosen by the calibration that the testbed's scorer shows (`score --kept`), with sockets and from packets alone.
const WORTH: i64 = 400;

/// One kind of evidence of this sort.
pub(super) trait Usual {
    /// Its name.
    fn kind(&self) -> Kind;
    /// Learns what a pair is like.
    fn learn(&mut self, pair: &Pair<'_>, of: Lesson);
    /// Learns of a child whose parent is not sure: its pairs with all that are possible.
    fn learn_doubtful(&mut self, _: &[Pair<'_>]) {}
    /// Ends learning: makes of counts what is asked for often.
    fn settle(&mut self) {}
    /// How much such a pair speaks for being parent and child, in milli-nats; only differences between the parents of one child mean
    /// something.
    fn weight(&self, pair: &Pair<'_>) -> i64;
    /// How much more such a pair is to be expected of a parent and child than of a call and a request that have nothing to do with one
    /// another, in milli-nats.
    fn against_chance(&self, pair: &Pair<'_>) -> i64 {
        self.weight(pair)
    }
    /// What speaks for the pair, for people.
    fn reason(&self, pair: &Pair<'_>) -> String;
    /// Learns what a request with all of its calls is like.
    fn learn_whole(&mut self, _: &Whole<'_>) {}
    /// How much a request with all of its calls is as requests are, beside what was said of each call, in milli-nats.
    fn whole(&self, _: &Whole<'_>) -> i64 {
        0
    }
    /// Whether it says something of each child of a group that was decided on together.
    fn is_of_each(&self) -> bool {
        false
    }
}

/// What a pair is an example of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lesson {
    /// A parent and its child, nearly surely.
    Sure,
    /// A request that was possible and is not the parent.
    Other,
}

/// All kinds, before anything was learnt.
const USUAL: &[fn() -> Box<dyn Usual>] = &[
    || Box::<delays::Delays>::default(),
    || Box::<content::Shared>::default(),
    || Box::<sizes::Sizes>::default(),
    || Box::<counts::Counts>::default(),
];

/// All that was learnt.
pub(super) struct Learnt {
    all: Vec<Box<dyn Usual>>,
}

impl Learnt {
    /// Nothing yet, of the kinds that may be used.
    pub(super) fn nothing(evidence: Evidence) -> Learnt {
        let all = USUAL.iter().map(|new| new()).filter(|usual| evidence.uses(usual.kind()));
        Learnt { all: all.collect() }
    }

    pub(super) fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        self.all.iter_mut().for_each(|usual| usual.learn(pair, of));
    }

    /// What all kinds that `counts` say of a pair.
    pub(super) fn weight(&self, pair: &Pair<'_>, counts: impl Fn(&dyn Usual) -> bool) -> i64 {
        let heard = self.all.iter().map(|usual| &**usual).filter(|usual| counts(*usual));
        heard.map(|usual| tempered(usual.weight(pair))).sum()
    }

    pub(super) fn learn_doubtful(&mut self, pairs: &[Pair<'_>]) {
        self.all.iter_mut().for_each(|usual| usual.learn_doubtful(pairs));
    }

    pub(super) fn learn_whole(&mut self, whole: &Whole<'_>) {
        self.all.iter_mut().for_each(|usual| usual.learn_whole(whole));
    }

    /// Ends learning.
    pub(super) fn settle(&mut self) {
        self.all.iter_mut().for_each(|usual| usual.settle());
    }

    /// What all kinds say of a request with all of its calls.
    pub(super) fn whole(&self, whole: &Whole<'_>) -> i64 {
        self.all.iter().map(|usual| tempered(usual.whole(whole))).sum()
    }

    /// Per kind what it says of a pair, and in words why.
    pub(super) fn each(&self) -> impl Iterator<Item = &dyn Usual> {
        self.all.iter().map(|usual| &**usual)
    }
}

/// What a weight counts for.
pub(super) fn tempered(weight: i64) -> i64 {
    weight * WORTH / 1_000
}

/// A probability's logarithm in thousandths.
pub(super) fn milli(probability: f64) -> i64 {
    (1_000.0 * libm::log(probability.max(1e-12))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_in_thousandths() {
        assert_eq!(milli(1.0), 0);
        assert_eq!(milli(0.5), -693);
        assert!(milli(0.0) < -20_000);
    }

    #[test]
    fn what_may_not_be_used_is_not_learnt() {
        assert_eq!(Learnt::nothing(Evidence::ALL).all.len(), USUAL.len());
        let less = Learnt::nothing(Evidence::ALL.without(Kind::Delays));
        assert!(less.each().all(|usual| usual.kind() != Kind::Delays));
        assert_eq!(less.all.len(), USUAL.len() - 1);
    }
}
