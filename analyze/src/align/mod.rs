//! Clocks of different domains → one timeline, found from the recording itself: bytes that pass two points bound from one side how far
//! their clocks are apart, answers from the other. What is published is one correction per clock, the middle of what is possible, and
//! how far that may be off. Inside a domain times are what they are. That one way takes longer than the other no method sees: no time
//! across clocks is without its bound. The model on a page: `MODEL.md` beside.

mod corridor;
mod matches;
pub mod ntp;
mod pieces;
mod timeline;

use crate::call::{Call, SpanAt};
use crate::dissect::sockets::boottime::on_line;
use crate::dissect::sockets::clock_set::ClockSet;
use crate::dissect::sockets::log::Sockets;
use crate::flow::Flow;
use crate::point::Point;
use matches::{Domain, matches};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use timeline::Pairs;

/// A difference of instants and the guaranteed bound of its error, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounded {
    /// Best estimate.
    pub value_ns: i64,
    /// The truth lies within ± this.
    pub bound_ns: i64,
}

/// How well two clocks are known towards one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quality {
    /// Everywhere within a millisecond.
    Accurate,
    /// Within more than that, or not everywhere.
    Approximate,
    /// Bytes were seen one way only: a limit on one side is no estimate.
    OneWay,
    /// Nothing passed between them, or what passed contradicts itself.
    None,
}

impl Quality {
    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Quality::Accurate => "accurate",
            Quality::Approximate => "approximate",
            Quality::OneWay => "one-way",
            Quality::None => "none",
        }
    }
}

/// What is known of two clocks that bytes passed between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClockPair {
    /// The clock that is nearer to the reference, and the other.
    pub domains: [u32; 2],
    /// How far the second is ahead of the first in the middle of the recording; `None` where that is not known.
    pub ahead_ns: Option<i64>,
    /// ± in the middle of the recording.
    pub bound_ns: Option<i64>,
    /// The largest ± of any time.
    pub worst_bound_ns: Option<i64>,
    /// How much faster the second goes, in parts per billion, and ±.
    pub drift_ppb: Option<[i64; 2]>,
    /// Bytes that passed from the first to the second, and back.
    pub matches: [u64; 2],
    /// Matches that contradict the others.
    pub left_out: u64,
    /// How often one of the two was set.
    pub steps: u32,
    /// In words.
    pub quality: Quality,
}

/// A stretch of the common timeline in which corrections go along straight lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stretch {
    from_ns: i64,
    to_ns: i64,
    /// By domain, at both ends: ahead of the reference, beside [`Clocks::roughly`]; and ±. `None`: unknown.
    ahead: Vec<Option<[Ahead; 2]>>,
    /// By index of [`Clocks::pairs`] at both ends: ± between the two.
    bounds: Vec<Option<[i64; 2]>>,
}

/// How far a clock is ahead, ±.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Ahead {
    ahead_ns: i64,
    bound_ns: i64,
}

/// What is known of the clocks of all domains.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Clocks {
    /// By domain the one whose clock the timeline is that it is related to.
    pub references: Vec<u32>,
    /// Pairs that bytes passed between, by the lower of their domains, then the higher.
    pub pairs: Vec<ClockPair>,
    /// By domain: about how far it is ahead of its reference.
    roughly: Vec<i64>,
    /// By domain, how many pairs lie between it and its reference.
    depths: Vec<u32>,
    stretches: Vec<Stretch>,
    /// When clocks were set, as they themselves or what passed between them tells.
    sets: Vec<ClockSet>,
    /// By domain, see [`ntp::errors`].
    ntp_errors_ns: Vec<Option<i64>>,
}

/// More often no clock is looked at closely: then all its times are doubtful.
const MOST_SETS: usize = 64;

impl Clocks {
    /// Finds how the clocks of all domains are related. `ntp_errors_ns` has a place for each, see [`ntp::errors`].
    pub fn of(
        calls: &[Call],
        flows: &[Flow],
        points: &[Point],
        ntp_errors_ns: Vec<Option<i64>>,
        sockets: &Sockets,
    ) -> Clocks {
        // Tracers say nothing of bytes.
        let calls = calls.iter().filter(|call| call.tracer.is_none()).map(|call| {
            let is_turned = flows[call.spans[0].flow as usize].client.port() != call.client.port;
            (&call.spans[..], is_turned)
        });
        Clocks::of_spans(calls, flows, points, ntp_errors_ns, sockets)
    }

    /// The same by the spans of calls, each in path order and with whether its connection's server asked.
    pub fn of_spans<'a>(
        calls: impl Iterator<Item = (&'a [SpanAt], bool)>,
        flows: &[Flow],
        points: &[Point],
        ntp_errors_ns: Vec<Option<i64>>,
        sockets: &Sockets,
    ) -> Clocks {
        let matches = matches(calls, flows, points, sockets);
        let mut clocks = Pairs::of(matches, &ntp_errors_ns).clocks();
        clocks.ntp_errors_ns = ntp_errors_ns;
        clocks.sets.extend(&sockets.sets);
        if let Some(more) = clocks.sets.get_mut(MOST_SETS..) {
            for set in more {
                (set.from_ns, set.to_ns) = (i64::MIN, i64::MAX);
            }
            let mut known = BTreeSet::new();
            clocks.sets.retain(|set| set.from_ns != i64::MIN || known.insert(set.domain));
        }
        clocks
    }

    /// Time from `earlier` to `later`, each an instant in its domain; `None` when the two clocks are not aligned.
    pub fn between(&self, earlier: (u32, i64), later: (u32, i64)) -> Option<Bounded> {
        let difference = later.1.saturating_sub(earlier.1);
        let doubt_ns = self.doubt_ns(earlier).saturating_add(self.doubt_ns(later));
        if earlier.0 == later.0 {
            return Some(Bounded { value_ns: difference, bound_ns: doubt_ns });
        }
        let at_ns = self.common(earlier, later)?;
        let stretch = self.stretch(at_ns)?;
        let ahead = |domain: u32| {
            let [begin, end] = (*stretch.ahead.get(domain as usize)?)?;
            let rough = *self.roughly.get(domain as usize)?;
            let ahead_ns =
                stretch.between(at_ns, begin.ahead_ns, end.ahead_ns).saturating_add(rough);
            Some((ahead_ns, stretch.between(at_ns, begin.bound_ns, end.bound_ns)))
        };
        let (first, second) = (ahead(earlier.0)?, ahead(later.0)?);
        let pair = self.pair(earlier.0, later.0);
        let bound = pair.and_then(|pair| stretch.bounds[pair]);
        let bound_ns = match bound {
            Some([begin, end]) => stretch.between(at_ns, begin, end),
            None => first.1.saturating_add(second.1),
        };
        // Outside of what was matched clocks may drift on as they like.
        let outside = at_ns.clamp(stretch.from_ns, stretch.to_ns).abs_diff(at_ns);
        let bound_ns = bound_ns.saturating_add((outside / 1_000).min(i64::MAX as u64) as i64);
        let apart = second.0.saturating_sub(first.0);
        let bound_ns = bound_ns.saturating_add(doubt_ns);
        Some(Bounded { value_ns: difference.saturating_sub(apart), bound_ns })
    }

    /// By how much a stamp may be off because its clock was set at about that time.
    fn doubt_ns(&self, (domain, at_ns): (Domain, i64)) -> i64 {
        let is_doubtful =
            |set: &&ClockSet| set.domain == domain && (set.from_ns..=set.to_ns).contains(&at_ns);
        self.sets.iter().filter(is_doubtful).map(|set| set.by_ns).fold(0, i64::saturating_add)
    }

    /// An instant by the clock of its domain's reference, within a bound; `None` when the two are not aligned.
    pub fn by_reference(&self, (domain, at_ns): (u32, i64)) -> Option<Bounded> {
        let reference = self.reference(domain);
        if reference == domain {
            return Some(Bounded { value_ns: at_ns, bound_ns: 0 });
        }
        let rough = self.roughly.get(domain as usize)?;
        let about_ns = at_ns.saturating_sub(*rough);
        let apart = self.between((reference, about_ns), (domain, at_ns))?;
        let value_ns = about_ns.saturating_add(apart.value_ns);
        Some(Bounded { value_ns, bound_ns: apart.bound_ns })
    }

    /// Whose clock the timeline is that a domain is related to; its own where it is related to none.
    pub fn reference(&self, domain: u32) -> u32 {
        self.references.get(domain as usize).copied().unwrap_or(domain)
    }

    /// How far its kernel says that NTP kept a clock from Unix time, at most, nanoseconds; `None`: not synchronized, or nobody wrote it down.
    pub fn ntp_error_ns(&self, domain: u32) -> Option<i64> {
        self.ntp_errors_ns.get(domain as usize).copied().flatten()
    }

    /// The pair of two domains.
    fn pair(&self, a: Domain, b: Domain) -> Option<usize> {
        let key = |[a, b]: [Domain; 2]| (a.min(b), a.max(b));
        self.pairs.binary_search_by_key(&key([a, b]), |pair| key(pair.domains)).ok()
    }

    /// The instant on the common timeline, by the clock that is nearer to the reference.
    fn common(&self, a: (Domain, i64), b: (Domain, i64)) -> Option<i64> {
        let depth = |domain: Domain| self.depths.get(domain as usize).copied();
        let reference = |domain: Domain| self.references.get(domain as usize).copied();
        if reference(a.0)? != reference(b.0)? {
            return None;
        }
        let nearer = if depth(a.0)? <= depth(b.0)? { a } else { b };
        Some(nearer.1.saturating_sub(self.roughly[nearer.0 as usize]))
    }

    /// The stretch of an instant; before the first and after the last it is these.
    fn stretch(&self, at_ns: i64) -> Option<&Stretch> {
        let next = self.stretches.partition_point(|stretch| stretch.to_ns <= at_ns);
        self.stretches.get(next.min(self.stretches.len().checked_sub(1)?))
    }
}

impl Stretch {
    /// On the straight line between the values at both ends; outside of it these.
    fn between(&self, at_ns: i64, begin: i64, end: i64) -> i64 {
        let at_ns = at_ns.clamp(self.from_ns, self.to_ns);
        on_line((self.from_ns, begin), (self.to_ns, end), at_ns)
    }
}
