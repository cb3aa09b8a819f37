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

/// How often parents, and others that were possible, shared words of each class.
#[derive(Debug, Clone, Default)]
pub(in crate::link) struct Shared {
    edges: BTreeMap<Edge, [[u64; CLASSES]; 2]>,
}

impl Shared {
    fn count(&mut self, edge: Edge, class: usize, is_parent: bool) {
        self.edges.entry(edge).or_default()[usize::from(!is_parent)][class] += 1;
    }

    /// How much more probable the class is with a parent than with another, in milli-nats.
    fn log(&self, edge: Edge, class: usize) -> i64 {
        let Some(counts) = self.edges.get(&edge) else { return 0 };
        let total = |counts: &[u64; CLASSES]| counts.iter().sum::<u64>() as f64;
        let all = total(&counts[0]) + total(&counts[1]);
        let before =
            ((counts[0][class] + counts[1][class]) as f64 + 0.5) / (all + 0.5 * CLASSES as f64);
        let share = |counts: &[u64; CLASSES]| {
            (counts[class] as f64 + WORTH * before) / (total(counts) + WORTH)
        };
        milli(share(&counts[0])) - milli(share(&counts[1]))
    }
}

impl Usual for Shared {
    fn kind(&self) -> Kind {
        Kind::Content
    }

    fn learn(&mut self, pair: &Pair<'_>, of: Lesson) {
        self.count(pair.edge(), pair.words(), of == Lesson::Sure);
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
}
