//! Words of a request that reappear in a call: keys, numbers, names. How much that says is learnt by service and callee: how rare a word
//! true parents share with their children, and how rare one the others do. Never sees more of a message than its resource.

use super::{Lesson, Usual, milli};
use crate::call::{Call, CallIndex};
use crate::link::evidence::Kind;
use crate::link::pair::Pair;
use crate::link::roles::Edge;
use std::collections::BTreeMap;

/// Words kept of a call.
const MOST_WORDS: usize = 16;
/// Words of so many bytes at least, or with a digit, mean something.
const LONG: usize = 5;
/// A word's class by the share of all calls that bear it, in thousandths: up to so many, or more.
const RARE: [u64; 3] = [5, 20, 80];
/// No common word, then common words by rising rarity.
const CLASSES: usize = RARE.len() + 2;
/// So many pairs count as much as what is believed before.
const WORTH: f64 = 8.0;
/// Doubtful children teach in so many steps, if parents unlike the others make what was seen more probable by so many nats.
const STEPS: usize = 20;
const TELLS: f64 = 12.0;

/// The words of all calls.
pub(in crate::link) struct Words {
    of_call: Vec<Vec<u64>>,
    class: BTreeMap<u64, u8>,
}

impl Words {
    pub(in crate::link) fn of(calls: &[Call]) -> Words {
        let of_call: Vec<Vec<u64>> = calls.iter().map(|call| words(&call.resource)).collect();
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        of_call.iter().flatten().for_each(|word| *counts.entry(*word).or_default() += 1);
        let n = calls.len().max(1) as u64;
        let class = |count: u64| {
            let common = RARE.iter().filter(|&&most| count * 1_000 > most * n).count();
            (RARE.len() + 1 - common) as u8
        };
        Words {
            of_call,
            class: counts.into_iter().map(|(word, count)| (word, class(count))).collect(),
        }
    }

    /// How rare the rarest word is that both bear; 0: none.
    pub(in crate::link) fn shared(&self, parent: CallIndex, child: CallIndex) -> usize {
        let parent = &self.of_call[parent as usize];
        let shared = self.of_call[child as usize].iter().filter(|word| parent.contains(word));
        shared.map(|word| usize::from(self.class[word])).max().unwrap_or(0)
    }

    /// The rarest word that both bear.
    fn rarest<'a>(&self, parent: CallIndex, child: &'a Call) -> Option<&'a str> {
        let parent = &self.of_call[parent as usize];
        let shared = meaningful(&child.resource).filter(|word| parent.contains(&hash(word)));
        shared.max_by_key(|word| self.class[&hash(word)])
    }
}

/// Hashes of a text's words, each once.
fn words(text: &str) -> Vec<u64> {
    let mut found: Vec<u64> = meaningful(text).map(hash).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn meaningful(text: &str) -> impl Iterator<Item = &str> {
    let means = |word: &&str| word.len() >= LONG || word.bytes().any(|byte| byte.is_ascii_digit());
    text.split(|letter: char| !letter.is_alphanumeric()).filter(means).take(MOST_WORDS)
}

/// FNV-1a, 64 bit.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Per class so many requests, or pairs.
type Classes = [u64; CLASSES];

/// How often parents, and others that were possible, shared words of each class.
#[derive(Debug, Clone, Default)]
pub(in crate::link) struct Shared {
    edges: BTreeMap<Edge, [Classes; 2]>,
    /// Of children whose parent is not sure: how many of their possible parents share words of each class, and how many such children there are.
    doubtful: BTreeMap<Edge, BTreeMap<Classes, u64>>,
}

impl Shared {
    fn count(&mut self, edge: Edge, class: usize, is_parent: bool) {
        self.edges.entry(edge).or_default()[usize::from(!is_parent)][class] += 1;
    }

    fn count_doubtful(&mut self, edge: Edge, possible: Classes) {
        *self.doubtful.entry(edge).or_default().entry(possible).or_default() += 1;
    }

    /// How much more probable the class is with a parent than with another, in milli-nats.
    fn log(&self, edge: Edge, class: usize) -> i64 {
        let Some(counts) = self.edges.get(&edge) else { return 0 };
        let total = |counts: &Classes| counts.iter().sum::<u64>() as f64;
        let all = total(&counts[0]) + total(&counts[1]);
        let before =
            ((counts[0][class] + counts[1][class]) as f64 + 0.5) / (all + 0.5 * CLASSES as f64);
        let share =
            |counts: &Classes| (counts[class] as f64 + WORTH * before) / (total(counts) + WORTH);
        milli(share(&counts[0])) - milli(share(&counts[1]))
    }
}

/// What parents and others of doubtful children share, where each child has one parent among those possible: the parents' classes that make
/// all that was seen most probable (expectation maximization; Dempster, Laird, Rubin 1977), beside `sure` ones. `None` where words tell
/// nothing: if parents were like the others, all would be (nearly) as probable.
fn most_probable(sure: &[Classes; 2], doubtful: &BTreeMap<Classes, u64>) -> Option<[Classes; 2]> {
    let mut all = [0; CLASSES];
    let mut rarest = [0; CLASSES];
    for (possible, n) in doubtful {
        (0..CLASSES).for_each(|class| all[class] += possible[class] * n);
        rarest[possible.iter().rposition(|n| *n > 0)?] += n;
    }
    let shares = |counts: [f64; CLASSES]| {
        let total: f64 = counts.iter().map(|n| n + 0.5).sum();
        counts.map(|n| (n + 0.5) / total)
    };
    let both = |one: &Classes, other: [f64; CLASSES]| {
        let sums: Vec<f64> = one.iter().zip(other).map(|(a, b)| *a as f64 + b).collect();
        shares(std::array::from_fn(|class| sums[class]))
    };
    let of_any = shares(all.map(|n| n as f64));
    let mut parents = rarest.map(|n| n as f64);
    let mut gained = 0.0;
    for _ in 0..STEPS {
        let others = std::array::from_fn(|class| (all[class] as f64 - parents[class]).max(0.0));
        let (of_parents, of_others) = (both(&sure[0], parents), both(&sure[1], others));
        let times: Vec<f64> = of_parents.iter().zip(of_others).map(|(p, q)| p / q).collect();
        (parents, gained) = ([0.0; CLASSES], 0.0);
        for (possible, n) in doubtful {
            let weights: Vec<f64> =
                possible.iter().zip(&times).map(|(n, times)| *n as f64 * times).collect();
            let (total, n_possible) = (weights.iter().sum::<f64>(), possible.iter().sum::<u64>());
            let unlike =
                |class: usize| possible[class] as f64 * libm::log(of_others[class] / of_any[class]);
            let unlike: f64 = (0..CLASSES).map(unlike).sum();
            gained += *n as f64 * (libm::log(total / n_possible as f64) + unlike);
            (0..CLASSES).for_each(|class| parents[class] += *n as f64 * weights[class] / total);
        }
    }
    let parents = parents.map(|n| libm::round(n) as u64);
    let others = std::array::from_fn(|class| all[class].saturating_sub(parents[class]));
    (gained >= TELLS).then_some([parents, others])
}

impl Usual for Shared {
    fn kind(&self) -> Kind {
        Kind::Content
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        self.count(pair.edge(), pair.words(), of == Lesson::Sure);
    }

    fn learn_doubtful(&mut self, pairs: &[Pair<'_>]) {
        let mut possible = [0; CLASSES];
        pairs.iter().for_each(|pair| possible[pair.words()] += 1);
        if let Some(pair) = pairs.first() {
            self.count_doubtful(pair.edge(), possible);
        }
    }

    fn settle(&mut self) {
        for (edge, doubtful) in std::mem::take(&mut self.doubtful) {
            let counts = self.edges.entry(edge).or_default();
            if let Some(found) = most_probable(counts, &doubtful) {
                for (counts, found) in counts.iter_mut().zip(found) {
                    (0..CLASSES).for_each(|class| counts[class] += found[class]);
                }
            }
        }
    }

    fn weight(&self, pair: &Pair<'_>) -> i64 {
        self.log(pair.edge(), pair.words())
    }

    fn reason(&self, pair: &Pair<'_>) -> String {
        match pair.among.beliefs.words.rarest(pair.parent, pair.child_call()) {
            Some(word) => format!("{word} reappears"),
            None => "no word reappears, as is usual here".to_string(),
        }
    }

    fn is_of_each(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_numbers_and_long_names() {
        let check = |a: &str, b: &str, expected: usize| {
            let (a, b) = (words(a), words(b));
            assert_eq!(a.iter().filter(|word| b.contains(word)).count(), expected, "{a:?} {b:?}");
        };
        check("/price/17", "item:17", 1);
        check("/price/17", "item:171", 0);
        check("/users/alice", "SELECT x FROM users WHERE name = 'alice'", 2);
        check("GET /a/b", "a b", 0);
        assert!(words(&"1 ".repeat(100)).len() <= MOST_WORDS);
    }

    #[test]
    fn what_only_parents_share_says_much() {
        let mut shared = Shared::default();
        for _ in 0..100 {
            shared.count((1, 2), 3, true);
            shared.count((1, 2), 0, false);
            shared.count((1, 3), 3, true);
            shared.count((1, 3), 3, false);
        }
        assert!(shared.log((1, 2), 3) > 2_000 && shared.log((1, 2), 0) < -2_000);
        assert!(shared.log((1, 3), 3).abs() < 50, "everybody shares it");
        assert_eq!(shared.log((7, 7), 3), 0);
    }

    /// What is learnt of children none of which is sure: so many, whose possible parents share words so.
    fn check_doubtful(children: &[(Classes, u64)], expected: impl Fn(i64) -> bool) {
        let mut shared = Shared::default();
        for (possible, n) in children {
            (0..*n).for_each(|_| shared.count_doubtful((1, 2), *possible));
        }
        shared.settle();
        let says = shared.log((1, 2), 4) - shared.log((1, 2), 0);
        assert!(expected(says), "{says}");
    }

    #[test]
    fn words_that_one_of_many_shares_are_believed_though_no_parent_is_sure() {
        // One of sixteen has it, every time.
        check_doubtful(&[([15, 0, 0, 0, 1], 100)], |says| says > 5_000);
        // Half of the parents have it, and few others.
        check_doubtful(&[([15, 0, 0, 0, 1], 60), ([16, 0, 0, 0, 0], 50)], |says| says > 2_000);
    }

    #[test]
    fn words_that_anybody_shares_by_chance_say_nothing() {
        check_doubtful(&[([0, 0, 0, 0, 4], 100)], |says| says.abs() < 1_500);
        // Of four each has it with one chance in ten, whoever the parent is: so many children see it so many times.
        let by_chance = [([4, 0, 0, 0, 0], 656), ([3, 0, 0, 0, 1], 292), ([2, 0, 0, 0, 2], 49)];
        check_doubtful(&by_chance, |says| says.abs() < 300);
        check_doubtful(&[([3, 0, 0, 0, 1], 3)], |says| says == 0);
        check_doubtful(&[], |says| says == 0);
    }
}
