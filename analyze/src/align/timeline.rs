//! Pairs of clocks → one correction per clock: what is possible between neighbours makes what is possible towards the reference, by the
//! shortest ways through all pairs; published is the middle. Corrections of two clocks then differ by what is possible between them, and
//! sums along a path add up. Looked at in windows, in which clocks go straight. Never looks at a message.

use super::corridor::{Wall, is_open};
use super::matches::{Domain, Match};
use super::pieces::Pieces;
use super::{Ahead, ClockPair, ClockSet, Clocks, Quality, Stretch};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Clocks go straight for so long; each window publishes its middle half.
const WINDOW_NS: i64 = 60_000_000_000;
/// Straight lines are published for so long at most.
const STRETCH_NS: i64 = 5_000_000_000;
/// Clocks don't go quite straight: so much more is added to every bound.
const WANDER_NS: f64 = 500.0;
/// A bound of no more than this everywhere is accurate.
const ACCURATE_NS: i64 = 1_000_000;

/// All pairs of clocks that bytes passed between.
pub(super) struct Pairs {
    pairs: Vec<Pair>,
    references: Vec<Domain>,
    depths: Vec<u32>,
    roughly: Vec<i64>,
}

/// Two clocks.
struct Pair {
    near: Domain,
    far: Domain,
    /// By the time on the common timeline; `ahead_ns` beside what is roughly known.
    walls: Vec<(i64, Wall)>,
}

/// What is possible between two clocks: the far one is ahead by at least and at most so much.
type Range = Option<(f64, f64)>;

impl Pairs {
    /// By domain the greatest error that NTP left, where that is known.
    pub(super) fn of(
        matches: BTreeMap<(Domain, Domain), Vec<Match>>,
        ntp_errors_ns: &[Option<i64>],
    ) -> Pairs {
        let n_domains = ntp_errors_ns.len();
        let mut pairs = Pairs {
            pairs: Vec::new(),
            references: (0..n_domains as u32).collect(),
            depths: vec![0; n_domains],
            roughly: vec![0; n_domains],
        };
        pairs.relate(&matches, ntp_errors_ns);
        for ((low, high), matches) in matches {
            pairs.add(low, high, &matches);
        }
        pairs
    }

    /// Finds the reference of every clock, the one that NTP kept best, else that of most matches, and about how far they are apart.
    fn relate(
        &mut self,
        matches: &BTreeMap<(Domain, Domain), Vec<Match>>,
        ntp_errors_ns: &[Option<i64>],
    ) {
        let mut neighbours: BTreeMap<Domain, Vec<(Domain, i64)>> = BTreeMap::new();
        let mut counts: BTreeMap<Domain, usize> = BTreeMap::new();
        for ((low, high), matches) in matches {
            let ahead_ns = roughly(matches);
            neighbours.entry(*low).or_default().push((*high, ahead_ns));
            neighbours.entry(*high).or_default().push((*low, ahead_ns.saturating_neg()));
            *counts.entry(*low).or_default() += matches.len();
            *counts.entry(*high).or_default() += matches.len();
        }
        let mut best_first: Vec<(Domain, usize)> = counts.into_iter().collect();
        best_first.sort_by_key(|(domain, count)| {
            let error_ns = ntp_errors_ns[*domain as usize].unwrap_or(i64::MAX);
            (error_ns, std::cmp::Reverse(*count), *domain)
        });
        let mut is_related = vec![false; self.references.len()];
        for (reference, _) in best_first {
            let mut next = VecDeque::from([reference]);
            if std::mem::replace(&mut is_related[reference as usize], true) {
                continue;
            }
            while let Some(domain) = next.pop_front() {
                for (other, ahead_ns) in &neighbours[&domain] {
                    if !std::mem::replace(&mut is_related[*other as usize], true) {
                        let (from, to) = (domain as usize, *other as usize);
                        self.references[to] = reference;
                        self.depths[to] = self.depths[from] + 1;
                        self.roughly[to] = self.roughly[from].saturating_add(*ahead_ns);
                        next.push_back(*other);
                    }
                }
            }
        }
    }

    fn add(&mut self, low: Domain, high: Domain, matches: &[Match]) {
        let is_low_nearer = self.depths[low as usize] <= self.depths[high as usize];
        let (near, far) = if is_low_nearer { (low, high) } else { (high, low) };
        let rough = |domain: Domain| self.roughly[domain as usize];
        let apart = rough(far).saturating_sub(rough(near));
        let wall = |m: &Match| {
            let (at_ns, ahead_ns) = match is_low_nearer {
                true => (m.at_ns, m.ahead_ns),
                false => (m.at_ns.saturating_add(m.ahead_ns), m.ahead_ns.saturating_neg()),
            };
            let is_upper = m.is_upper == is_low_nearer;
            let ahead_ns = ahead_ns.saturating_sub(apart);
            let ahead_ns = match is_upper {
                true => ahead_ns.saturating_add(m.slack_ns),
                false => ahead_ns.saturating_sub(m.slack_ns),
            };
            let wall = Wall { at_ns: 0.0, ahead_ns: ahead_ns as f64, is_upper };
            (at_ns.saturating_sub(rough(near)), wall)
        };
        let mut walls: Vec<(i64, Wall)> = matches.iter().map(wall).collect();
        walls.sort_by_key(|(at_ns, wall)| (*at_ns, wall.is_upper, wall.ahead_ns as i64));
        self.pairs.push(Pair { near, far, walls });
    }

    pub(super) fn clocks(self) -> Clocks {
        let mut clocks =
            Clocks { pairs: self.pairs.iter().map(Pair::unknown).collect(), ..Clocks::default() };
        let times = || self.pairs.iter().flat_map(|pair| pair.walls.iter().map(|wall| wall.0));
        if let Some((from_ns, to_ns)) = times().min().zip(times().max()) {
            for window in windows(times(), from_ns, to_ns) {
                self.window(window, &mut clocks);
            }
            self.sum_up(from_ns.midpoint(to_ns), &mut clocks);
        }
        Clocks { references: self.references, depths: self.depths, roughly: self.roughly, ..clocks }
    }

    /// Publishes what is known in a window.
    fn window(&self, window: Window, clocks: &mut Clocks) {
        let origin = window.from_ns.midpoint(window.to_ns);
        let from_origin = |at_ns: i64| at_ns.saturating_sub(origin) as f64;
        let pieces: Vec<Pieces> = self.pairs.iter().map(|pair| pair.pieces(window)).collect();
        let mut edges = vec![window.shown_from_ns, window.shown_to_ns];
        let mut edge = window.shown_from_ns;
        while window.shown_to_ns.saturating_sub(edge) > STRETCH_NS {
            edge += STRETCH_NS;
            edges.push(edge);
        }
        let shown = window.shown_from_ns..window.shown_to_ns;
        for (pair, pieces) in clocks.pairs.iter_mut().zip(&pieces) {
            let instant = |at_ns: f64| origin.saturating_add(at_ns as i64);
            let ends = pieces.pieces.iter().flat_map(|piece| [piece.from_ns, piece.to_ns]);
            let cuts = ends.filter(|end| end.is_finite()).map(instant);
            edges.extend(cuts.filter(|cut| shown.contains(cut)));
            let is_shown = |at_ns: f64| shown.contains(&instant(at_ns));
            pair.left_out +=
                pieces.left_out.iter().filter(|at_ns| is_shown(**at_ns)).count() as u64;
            for cut in pieces.pieces.windows(2).filter(|cut| is_shown(cut[1].from_ns)) {
                let (from_ns, to_ns) = (cut[1].from_ns, cut[0].to_ns);
                let [before, after] = [0, 1].map(|i| cut[i].corridor.at(to_ns));
                let by_ns = (before.1 - after.0).max(after.1 - before.0).abs();
                let own =
                    |at_ns| instant(at_ns).saturating_add(self.roughly[pair.domains[1] as usize]);
                let set =
                    ClockSet::between(pair.domains[1], own(from_ns), own(to_ns), by_ns as i64);
                clocks.sets.push(set);
                pair.steps += 1;
            }
        }
        edges.sort_unstable();
        edges.dedup();
        if let [only] = edges[..] {
            edges.push(only.saturating_add(1));
        }
        for ends in edges.windows(2) {
            let stretch = (from_origin(ends[0]), from_origin(ends[1]));
            let known = [stretch.0, stretch.1].map(|at_ns| {
                let ranges: Vec<Range> =
                    pieces.iter().map(|pieces| pieces.at(stretch, at_ns)).collect();
                let ahead = self.ahead(&ranges);
                let bounds = self.bounds(&ranges, &ahead);
                (ahead, bounds)
            });
            let [(begin, bounds_begin), (end, bounds_end)] = known;
            let both = |begin: Option<Ahead>, end: Option<Ahead>| Some([begin?, end?]);
            clocks.stretches.push(Stretch {
                from_ns: ends[0],
                to_ns: ends[1],
                ahead: begin.into_iter().zip(end).map(|(b, e)| both(b, e)).collect(),
                bounds: bounds_begin
                    .into_iter()
                    .zip(bounds_end)
                    .map(|(begin, end)| Some([begin?, end?]))
                    .collect(),
            });
        }
    }

    /// By domain how far it is ahead of its reference.
    fn ahead(&self, ranges: &[Range]) -> Vec<Option<Ahead>> {
        let n = self.references.len();
        let is_reference = |domain: usize| self.references[domain] as usize == domain;
        let start = |far: f64| move |domain: usize| if is_reference(domain) { 0.0 } else { far };
        let mut most: Vec<f64> = (0..n).map(start(f64::INFINITY)).collect();
        let mut least: Vec<f64> = (0..n).map(start(f64::NEG_INFINITY)).collect();
        for _ in 0..n {
            let mut is_settled = true;
            for (pair, range) in self.pairs.iter().zip(ranges) {
                let Some((low, high)) = *range else { continue };
                let (near, far) = (pair.near as usize, pair.far as usize);
                let before = (most[near], most[far], least[near], least[far]);
                most[far] = most[far].min(most[near] + high);
                most[near] = most[near].min(most[far] - low);
                least[far] = least[far].max(least[near] + low);
                least[near] = least[near].max(least[far] - high);
                is_settled &= before == (most[near], most[far], least[near], least[far]);
            }
            if is_settled {
                break;
            }
        }
        let between = |(least, most): (f64, f64)| {
            let is_known = least.is_finite() && most.is_finite() && least <= most;
            (is_known && !is_open(least, most)).then(|| Ahead {
                ahead_ns: ((least + most) / 2.0) as i64,
                bound_ns: libm::ceil((most - least) / 2.0 + WANDER_NS) as i64,
            })
        };
        // A reference is what it is.
        let own = |(domain, known): (usize, Option<Ahead>)| match is_reference(domain) {
            true => Some(Ahead { ahead_ns: 0, bound_ns: 0 }),
            false => known,
        };
        least.into_iter().zip(most).map(between).enumerate().map(own).collect()
    }

    /// By pair how far what is published may be off.
    fn bounds(&self, ranges: &[Range], ahead: &[Option<Ahead>]) -> Vec<Option<i64>> {
        let bound = |(pair, range): (&Pair, &Range)| {
            let (low, high) = (*range).filter(|(low, high)| !is_open(*low, *high))?;
            let [near, far] = [pair.near, pair.far].map(|domain| ahead[domain as usize]);
            let apart = (far?.ahead_ns - near?.ahead_ns) as f64;
            Some(libm::ceil((high - apart).max(apart - low).max(0.0) + WANDER_NS) as i64)
        };
        self.pairs.iter().zip(ranges).map(bound).collect()
    }

    /// What is told of each pair.
    fn sum_up(&self, middle_ns: i64, clocks: &mut Clocks) {
        let window = Window::around(middle_ns);
        let stretches = std::mem::take(&mut clocks.stretches);
        let middle =
            stretches.iter().find(|stretch| middle_ns < stretch.to_ns).or(stretches.last());
        for (i, (pair, told)) in self.pairs.iter().zip(&mut clocks.pairs).enumerate() {
            let rough = |domain: Domain| self.roughly[domain as usize];
            let at_middle = middle.and_then(|stretch| {
                let ahead = |domain: Domain| {
                    let [begin, end] = stretch.ahead[domain as usize]?;
                    let beside = stretch.between(middle_ns, begin.ahead_ns, end.ahead_ns);
                    Some(beside.saturating_add(rough(domain)))
                };
                let [begin, end] = stretch.bounds[i]?;
                let apart = ahead(pair.far)?.saturating_sub(ahead(pair.near)?);
                Some((apart, stretch.between(middle_ns, begin, end)))
            });
            told.ahead_ns = at_middle.map(|known| known.0);
            told.bound_ns = at_middle.map(|known| known.1);
            let bounds = || stretches.iter().map(|stretch| stretch.bounds[i]);
            told.worst_bound_ns = bounds().flatten().flatten().max();
            let is_everywhere = bounds().all(|bound| bound.is_some());
            told.quality = match told.worst_bound_ns {
                Some(worst_ns) if is_everywhere && worst_ns <= ACCURATE_NS => Quality::Accurate,
                Some(_) => Quality::Approximate,
                None if told.matches.contains(&0) => Quality::OneWay,
                None => Quality::None,
            };
            let pieces = pair.pieces(window).pieces;
            let drift = pieces.last().filter(|_| told.bound_ns.is_some());
            told.drift_ppb = drift.map(|piece| {
                let (low, high) = piece.corridor.drift();
                [(low + high) / 2.0, (high - low) / 2.0].map(|drift| (drift * 1e9) as i64)
            });
        }
        clocks.stretches = stretches;
    }
}

impl Pair {
    /// Lines through what lies in a window.
    fn pieces(&self, window: Window) -> Pieces {
        let origin = window.from_ns.midpoint(window.to_ns);
        let from = self.walls.partition_point(|wall| wall.0 < window.from_ns);
        let to = self.walls.partition_point(|wall| wall.0 <= window.to_ns);
        let wall = |(at_ns, wall): &(i64, Wall)| Wall {
            at_ns: at_ns.saturating_sub(origin) as f64,
            ..*wall
        };
        Pieces::of(&self.walls[from..to].iter().map(wall).collect::<Vec<_>>())
    }

    fn unknown(&self) -> ClockPair {
        let count =
            |is_upper| self.walls.iter().filter(|w| w.1.is_upper == is_upper).count() as u64;
        ClockPair {
            domains: [self.near, self.far],
            ahead_ns: None,
            bound_ns: None,
            worst_bound_ns: None,
            drift_ppb: None,
            matches: [count(true), count(false)],
            left_out: 0,
            steps: 0,
            quality: Quality::None,
        }
    }
}

/// A stretch of time in which clocks go straight, and the part of it that it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    from_ns: i64,
    to_ns: i64,
    shown_from_ns: i64,
    shown_to_ns: i64,
}

impl Window {
    fn around(middle_ns: i64) -> Window {
        let [from_ns, to_ns] =
            [-WINDOW_NS / 2, WINDOW_NS / 2].map(|by| middle_ns.saturating_add(by));
        Window { from_ns, to_ns, shown_from_ns: middle_ns, shown_to_ns: middle_ns }
    }
}

/// Windows that overlap by half, wherever one of these instants lies; each shows the part that is farther from its ends than from its
/// neighbours', so that together they show all of the time.
fn windows(instants: impl Iterator<Item = i64>, from_ns: i64, to_ns: i64) -> Vec<Window> {
    let step = WINDOW_NS / 2;
    let mut places: BTreeSet<i64> = BTreeSet::new();
    for instant in instants {
        let place = instant.saturating_sub(from_ns) / step;
        places.extend([place, place - 1].into_iter().filter(|place| *place >= 0));
    }
    let begin = |place: i64| from_ns.saturating_add(place.saturating_mul(step));
    let end = |place: i64| begin(place).saturating_add(WINDOW_NS);
    // What the one before shows to its end needs no other.
    let is_last = |place: &i64| end(*place) >= to_ns;
    let last = places.iter().copied().find(is_last);
    places.retain(|place| last.is_none_or(|last| *place <= last));
    let window = |&place: &i64| Window {
        from_ns: begin(place),
        to_ns: end(place).min(to_ns),
        shown_from_ns: match places.contains(&(place - 1)) {
            true => begin(place).saturating_add(step / 2),
            false => begin(place),
        },
        shown_to_ns: match places.contains(&(place + 1)) {
            true => end(place).saturating_sub(step / 2),
            false => end(place).min(to_ns),
        },
    };
    places.iter().map(window).collect()
}

/// About how far the higher domain of a pair is ahead.
fn roughly(matches: &[Match]) -> i64 {
    let of =
        |is_upper: bool| matches.iter().filter(move |m| m.is_upper == is_upper).map(|m| m.ahead_ns);
    match (of(true).min(), of(false).max()) {
        (Some(most), Some(least)) => most.midpoint(least),
        (most, least) => most.or(least).unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn windows_show_all_of_the_time_once() {
        let check = |instants: &[i64], expected: &[(i64, i64)]| {
            let all = || instants.iter().map(|at| at * S);
            let (from, to) = (instants[0] * S, instants[instants.len() - 1] * S);
            let found = windows(all(), from, to);
            let shown: Vec<_> =
                found.iter().map(|w| (w.shown_from_ns / S, w.shown_to_ns / S)).collect();
            assert_eq!(shown, expected, "{found:?}");
        };
        check(&[0], &[(0, 0)]);
        check(&[0, 50], &[(0, 50)]);
        check(&[0, 20, 40, 60, 80], &[(0, 45), (45, 80)]);
        check(&[0, 30, 60, 90, 120], &[(0, 45), (45, 75), (75, 120)]);
        // Nothing passed for an hour.
        check(&[0, 3_600], &[(0, 60), (3_570, 3_600)]);
    }

    /// A clock: what it says at a true instant.
    type Clock = fn(i64) -> i64;

    /// Messages both ways, one each millisecond, between clocks in a row, after so long on the way.
    fn clocks(clocks: &[Clock], seconds: i64, way_ns: impl Fn(i64) -> i64) -> Clocks {
        let mut matches: BTreeMap<(Domain, Domain), Vec<Match>> = BTreeMap::new();
        for (low, pair) in (0..).zip(clocks.windows(2)) {
            let all = matches.entry((low, low + 1)).or_default();
            for i in 0..seconds * 1_000 {
                let sent = i * 1_000_000;
                let arrived = sent + way_ns(i);
                let (is_upper, low_ns, high_ns) = match i % 2 {
                    0 => (true, pair[0](sent), pair[1](arrived)),
                    _ => (false, pair[0](arrived), pair[1](sent)),
                };
                all.push(Match {
                    at_ns: low_ns,
                    ahead_ns: high_ns - low_ns,
                    slack_ns: 1,
                    is_upper,
                });
            }
            all.sort_unstable();
        }
        Pairs::of(matches, &vec![None; clocks.len()]).clocks()
    }

    /// Holds what is said of two instants that are one against that.
    fn check(found: &Clocks, all: &[Clock], seconds: i64, most_bound_ns: impl Fn(i64) -> i64) {
        for second in 0..seconds {
            let at = second * S + S / 2;
            for (a, b) in [(0, 1), (0, all.len() - 1), (all.len() - 2, all.len() - 1)] {
                let (one, other) = ((a as u32, all[a](at)), (b as u32, all[b](at)));
                let known = found.between(one, other).expect("it is aligned");
                assert!(known.value_ns.abs() <= known.bound_ns, "{second} s, {a} {b}: {known:?}");
                let most_ns = most_bound_ns(second) * (b - a) as i64;
                assert!(known.bound_ns <= most_ns, "{second} s, {a} {b}: {known:?}");
            }
        }
    }

    fn right(at: i64) -> i64 {
        1_700_000_000 * S + at
    }

    fn fast(at: i64) -> i64 {
        right(at) + 40_000_000 + at / 10_000
    }

    fn slow(at: i64) -> i64 {
        right(at) - 3 * S - at / 25_000
    }

    fn set(at: i64) -> i64 {
        right(at) + if at < 70 * S + 200 { 0 } else { 250_000_000 }
    }

    #[test]
    fn clocks_that_go_wrong_are_within_what_is_said() {
        let way = |i: i64| 50_000 + (i * 7_919 % 400) * 1_000;
        for all in [&[right as Clock, fast][..], &[right, fast, slow]] {
            let found = clocks(all, 150, way);
            check(&found, all, 150, |_| 60_000);
            assert!(found.pairs.iter().all(|pair| pair.quality == Quality::Accurate), "{found:?}");
        }
        let drift = clocks(&[right, fast], 150, way).pairs[0].drift_ppb.expect("it is known");
        assert!((drift[0] - 100_000).abs() <= drift[1] && drift[1] < 5_000, "{drift:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_followed() {
        let found = clocks(&[right, set], 150, |i| 50_000 + (i * 7_919 % 400) * 1_000);
        check(&found, &[right, set], 150, |s| if s == 70 { 300_000_000 } else { 70_000 });
        assert_eq!((found.pairs[0].steps, found.pairs[0].left_out), (1, 0));
    }

    #[test]
    fn one_way_and_nothing_are_said() {
        let one_way = |is_upper| {
            let m = |at| Match { at_ns: at, ahead_ns: 5_000, slack_ns: 1, is_upper };
            Pairs::of([((0, 1), (0..100).map(m).collect())].into(), &[None; 3]).clocks()
        };
        for found in [one_way(true), one_way(false)] {
            assert_eq!(found.pairs[0].quality, Quality::OneWay);
            assert_eq!(found.between((0, 1), (1, 1)), None);
            assert_eq!(found.between((0, 1), (2, 1)), None);
        }
        assert_eq!(Clocks::default().between((0, 1), (1, 1)), None);
    }

    #[test]
    fn the_reference_is_the_clock_that_ntp_kept_best_else_the_one_of_most_matches() {
        let reference = |errors: [Option<i64>; 3]| {
            let m = |n: i64| Match { at_ns: n, ahead_ns: 0, slack_ns: 1, is_upper: n % 2 == 0 };
            let many = |n: i64| (0..n).map(m).collect::<Vec<_>>();
            let matches = [((0, 1), many(9)), ((1, 2), many(99))];
            Pairs::of(matches.into(), &errors).references
        };
        assert_eq!(reference([None; 3]), [1; 3]);
        assert_eq!(reference([Some(7), None, None]), [0; 3]);
        assert_eq!(reference([Some(7), None, Some(5)]), [2; 3]);
        assert_eq!(reference([Some(7), Some(7), None]), [1; 3]);
    }

    proptest! {
        #[test]
        fn any_matches_are_survived(
            all in prop::collection::vec((0u32..4, 0u32..4, any::<(i64, i64, bool)>()), 0..40),
            at in any::<[i64; 2]>(),
        ) {
            let mut matches: BTreeMap<(Domain, Domain), Vec<Match>> = BTreeMap::new();
            for (a, b, (at_ns, ahead_ns, is_upper)) in all.into_iter().filter(|m| m.0 < m.1) {
                let found = Match { at_ns, ahead_ns, slack_ns: 1_000, is_upper };
                matches.entry((a, b)).or_default().push(found);
            }
            matches.values_mut().for_each(|matches| matches.sort_unstable());
            let found = Pairs::of(matches, &[None; 4]).clocks();
            for (a, b) in [(0, 1), (1, 3), (2, 0)] {
                if let Some(known) = found.between((a, at[0]), (b, at[1])) {
                    prop_assert!(known.bound_ns >= 0);
                }
            }
        }
    }
}
