//! What a delay on one hop does to all others: recordings with it and without in turn, and the middle of every hop's times in the ones
//! and the others. Never judges a hop that was seen too seldom.

use afterpath::analysis::Analysis;
use afterpath::call::{Call, Part};
use afterpath::point::Point;
use std::collections::BTreeMap;

/// A hop is held against itself if it was seen this often with and without.
const LEAST: usize = 50;

/// A hop by its two points, the same in every recording: part, protocol, from, to, way.
pub type Place = (&'static str, String, String, String, &'static str);

/// A hop's times without the delay and with it.
#[derive(Debug, Default)]
pub struct Times {
    /// Nanoseconds of each call without, and with.
    pub each: [Vec<i64>; 2],
}

/// Every hop of some recordings.
#[derive(Debug, Default)]
pub struct Hops {
    hops: BTreeMap<Place, Times>,
}

/// How far a hop's middle moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shift {
    /// Which hop.
    pub place: Place,
    /// Times without and with the delay.
    pub n: [usize; 2],
    /// The middle without it.
    pub without_ns: i64,
    /// The middle with it, less that.
    pub by_ns: i64,
}

impl Hops {
    /// Adds a recording.
    pub fn add(&mut self, analysis: &Analysis, is_delayed: bool) {
        for call in analysis.calls.iter().filter(|call| call.tracer.is_none()) {
            for hop in &call.hops {
                let [from, to] = [hop.from, hop.to].map(|at| place(analysis, call, at));
                let mut note = |way: &'static str, ns: Option<i64>| {
                    let Some(ns) = ns else { return };
                    let key =
                        (hop.part.name(), call.protocol.clone(), from.clone(), to.clone(), way);
                    self.hops.entry(key).or_default().each[usize::from(is_delayed)].push(ns);
                };
                match hop.forward_ns.is_some() || hop.return_ns.is_some() {
                    true => {
                        note("forth", hop.forward_ns);
                        note("back", hop.return_ns);
                    }
                    // What a server's own calls take is their hops'.
                    false if matches!(hop.part, Part::Server | Part::ServerApp) => {
                        note("", call.self_ns)
                    }
                    false => note("", Some(hop.total_ns)),
                }
            }
        }
    }

    /// Those that were seen often enough, the one that moved farthest first.
    pub fn shifts(mut self) -> Vec<Shift> {
        let enough = |times: &Times| times.each.iter().all(|each| each.len() >= LEAST);
        self.hops.retain(|_, times| enough(times));
        let each = self.hops.into_iter().map(|(place, times)| {
            let n = times.each.each_ref().map(Vec::len);
            let [without_ns, with_ns] = times.each.map(middle);
            Shift { place, n, without_ns, by_ns: with_ns.saturating_sub(without_ns) }
        });
        let mut shifts: Vec<Shift> = each.collect();
        shifts.sort_by_key(|shift| (std::cmp::Reverse(shift.by_ns.abs()), shift.place.clone()));
        shifts
    }
}

/// A point without what differs from recording to recording: `podA/eth0`, `podA/python3`.
fn place(analysis: &Analysis, call: &Call, at: u16) -> String {
    let span = call.spans.get(usize::from(at));
    let point = span.and_then(|span| analysis.points.get(span.point as usize));
    point.map_or_else(String::new, |point: &Point| {
        let name = point.process.as_ref().map_or(&point.interface, |process| &process.name);
        format!("{}/{name}", point.place())
    })
}

fn middle(mut values: Vec<i64>) -> i64 {
    let at = values.len() / 2;
    *values.select_nth_unstable(at).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hop_is_held_against_itself() {
        let place = |name: &str| ("wire", "http1".to_string(), name.to_string(), String::new(), "");
        let times =
            |from: i64, n: i64| Times { each: [(0..100).collect(), (from..from + n).collect()] };
        let hops = [(place("slower"), times(20, 100)), (place("rare"), times(900, 9))];
        let shifts = Hops { hops: hops.into() }.shifts();
        let expected = Shift { place: place("slower"), n: [100; 2], without_ns: 50, by_ns: 20 };
        assert_eq!(shifts, [expected]);
    }
}
