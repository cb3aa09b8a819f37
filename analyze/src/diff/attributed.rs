//! Why users' requests take longer, or shorter: the change of their mean, entry by entry, as a sum of changes of what they waited for. What
//! no hop accounts for stands in the sum as well, so that it always closes.

use super::run::{Key, Made, Run};
use std::collections::BTreeMap;

/// One entry's change.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributed {
    /// The endpoint that its traces begin at.
    pub entry: Key,
    /// Traces, of the base and of the candidate.
    pub n: [u64; 2],
    /// Their mean duration, nanoseconds.
    pub mean_ns: [f64; 2],
    /// What it is made of, the largest change first.
    pub parts: Vec<Contribution>,
}

/// What a hop adds to a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The hop; `None`: what no hop accounts for.
    pub key: Option<Key>,
    /// How long a trace waited for it on average, nanoseconds.
    pub mean_ns: [f64; 2],
}

impl Contribution {
    /// How much longer.
    pub fn change_ns(&self) -> f64 {
        self.mean_ns[1] - self.mean_ns[0]
    }
}

/// Of all entries that both sides have, those that most traces begin at first.
pub(super) fn attributed(sides: [&[Run]; 2]) -> Vec<Attributed> {
    let [base, candidate] = sides.map(whole);
    let both = base.into_iter().filter_map(|(entry, base)| {
        let sides = [base, candidate.get(&entry)?.clone()];
        Some(one(entry, &sides))
    });
    let mut found: Vec<Attributed> = both.collect();
    found.sort_by_key(|entry| std::cmp::Reverse(entry.n.iter().sum::<u64>()));
    found
}

fn whole(runs: &[Run]) -> BTreeMap<Key, Made> {
    let mut all: BTreeMap<Key, Made> = BTreeMap::new();
    for (entry, made) in runs.iter().flat_map(|run| &run.made) {
        all.entry(entry.clone()).or_default().merge(made.clone());
    }
    all.retain(|_, made| made.n > 0);
    all
}

fn one(entry: Key, sides: &[Made; 2]) -> Attributed {
    let mean = |side: usize, ns: i64| ns as f64 / sides[side].n as f64;
    let of = |side: usize, key: &Key| mean(side, sides[side].parts.get(key).copied().unwrap_or(0));
    let mut keys: Vec<&Key> = sides.iter().flat_map(|made| made.parts.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut parts: Vec<Contribution> = keys
        .into_iter()
        .map(|key| Contribution { key: Some(key.clone()), mean_ns: [of(0, key), of(1, key)] })
        .collect();
    let mean_ns = [0, 1].map(|side| mean(side, sides[side].total_ns));
    let rest =
        [0, 1].map(|side| mean_ns[side] - parts.iter().map(|part| part.mean_ns[side]).sum::<f64>());
    parts.push(Contribution { key: None, mean_ns: rest });
    parts.sort_by(|a, b| b.change_ns().abs().total_cmp(&a.change_ns().abs()));
    Attributed { entry, n: [sides[0].n, sides[1].n], mean_ns, parts }
}

impl Made {
    /// The same of others under the same name.
    pub(super) fn merge(&mut self, other: Made) {
        self.n += other.n;
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        for (key, ns) in other.parts {
            let known = self.parts.entry(key).or_default();
            *known = known.saturating_add(ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(part: &str) -> Key {
        let [client, server, protocol, from, to] = ["a", "b", "http1", "a", "b"].map(String::from);
        Key::Hop { client, server, protocol, part: part.to_string(), from, to }
    }

    fn run(n: u64, total_ns: i64, parts: &[(&str, i64)]) -> Run {
        let parts = parts.iter().map(|(part, ns)| (hop(part), *ns)).collect();
        let made = Made { n, total_ns, parts };
        Run { made: [(hop("entry"), made)].into(), ..Run::default() }
    }

    #[test]
    fn contributions_sum_to_the_change() {
        let base = [run(10, 1_000, &[("wire", 200), ("server", 700)])];
        let candidate =
            [run(5, 800, &[("wire", 300), ("new", 100), ("server", 330)]), run(5, 700, &[])];
        let found = attributed([&base, &candidate]);
        assert_eq!((found.len(), found[0].n, found[0].mean_ns), (1, [10, 10], [100.0, 150.0]));
        let sum: f64 = found[0].parts.iter().map(Contribution::change_ns).sum();
        assert!((sum - 50.0).abs() < 1e-9);
        let named: Vec<_> = found[0].parts.iter().map(|part| part.key.is_some()).collect();
        assert_eq!(named, [false, true, true, true], "what nothing accounts for grew most");
    }

    #[test]
    fn an_entry_of_one_side_is_no_change() {
        assert_eq!(attributed([&[run(1, 5, &[])], &[]]), []);
    }
}
