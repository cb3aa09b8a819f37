//! What one clock may be ahead of another: all straight lines below what messages one way say and above what messages the other
//! way say, as a convex polygon of (offset, drift). Its extreme lines are the tangents of both hulls (Poirier, Roy, Dagenais 2010).
//! Plain sums and products of floating point, in order: the same on every machine. Never knows what was matched.

/// Clocks don't drift more than that, in seconds per second: ten times what is usual, and twice what NTP corrects by.
const MOST_DRIFT: f64 = 1e-3;
/// Nor are they further apart than that from where they are looked for, in nanoseconds: eleven days.
const FAR_NS: f64 = 1e15;
/// A corridor as wide as that has no wall on one side.
const OPEN_NS: f64 = 1e14;

/// That one clock is ahead of another by no more (upper) or no less (lower) than `ahead_ns` at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Wall {
    /// When, from an origin that all walls share.
    pub(super) at_ns: f64,
    pub(super) ahead_ns: f64,
    pub(super) is_upper: bool,
}

/// Lines that pass between all walls.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Corridor {
    /// Offset at the origin and drift, around the polygon.
    lines: Vec<(f64, f64)>,
}

impl Corridor {
    /// `None` where no straight line does. Walls in order of time.
    pub(super) fn between(walls: &[Wall]) -> Option<Corridor> {
        let mut lines = vec![
            (-FAR_NS, -MOST_DRIFT),
            (FAR_NS, -MOST_DRIFT),
            (FAR_NS, MOST_DRIFT),
            (-FAR_NS, MOST_DRIFT),
        ];
        for is_upper in [true, false] {
            for wall in hull(walls.iter().filter(|wall| wall.is_upper == is_upper)) {
                lines = cut(&lines, wall);
            }
        }
        (!lines.is_empty()).then_some(Corridor { lines })
    }

    /// The least and the most that is possible at an instant.
    pub(super) fn at(&self, at_ns: f64) -> (f64, f64) {
        let ahead = self.lines.iter().map(|(offset, drift)| offset + drift * at_ns);
        ahead.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), ahead| {
            (low.min(ahead), high.max(ahead))
        })
    }

    /// The least and the most drift, in seconds per second.
    pub(super) fn drift(&self) -> (f64, f64) {
        let drifts = self.lines.iter().map(|line| line.1);
        drifts.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), drift| {
            (low.min(drift), high.max(drift))
        })
    }
}

/// Whether this far apart means that nothing is known on one side.
pub(super) fn is_open(low: f64, high: f64) -> bool {
    high - low >= OPEN_NS
}

/// The walls that touch lines: the lower hull of upper ones, the upper hull of lower ones.
fn hull<'a>(walls: impl Iterator<Item = &'a Wall>) -> Vec<&'a Wall> {
    let mut kept: Vec<&Wall> = Vec::new();
    for wall in walls {
        let side = if wall.is_upper { 1.0 } else { -1.0 };
        if let Some(last) = kept.last()
            && last.at_ns >= wall.at_ns
        {
            // At one instant the nearer wall counts.
            if (wall.ahead_ns - last.ahead_ns) * side >= 0.0 {
                continue;
            }
            kept.pop();
        }
        while let [.., before, last] = kept[..] {
            let turn = (last.at_ns - before.at_ns) * (wall.ahead_ns - before.ahead_ns)
                - (wall.at_ns - before.at_ns) * (last.ahead_ns - before.ahead_ns);
            if turn * side > 0.0 {
                break;
            }
            kept.pop();
        }
        kept.push(wall);
    }
    kept
}

/// The part of a polygon on the right side of a wall (Sutherland, Hodgman 1974).
fn cut(lines: &[(f64, f64)], wall: &Wall) -> Vec<(f64, f64)> {
    // How far a line is on the wrong side.
    let beyond = |line: (f64, f64)| {
        let over = line.0 + line.1 * wall.at_ns - wall.ahead_ns;
        if wall.is_upper { over } else { -over }
    };
    let mut kept = Vec::with_capacity(lines.len() + 1);
    for (i, &line) in lines.iter().enumerate() {
        let before = lines[(i + lines.len() - 1) % lines.len()];
        let (was, is) = (beyond(before), beyond(line));
        if (was > 0.0) != (is > 0.0) {
            let share = was / (was - is);
            let between = |a: f64, b: f64| a + (b - a) * share;
            kept.push((between(before.0, line.0), between(before.1, line.1)));
        }
        if is <= 0.0 {
            kept.push(line);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wall(at_ns: f64, ahead_ns: f64, is_upper: bool) -> Wall {
        Wall { at_ns, ahead_ns, is_upper }
    }

    #[test]
    fn between_parallel_walls_lies_what_is_possible() {
        let walls = [
            wall(0.0, 110.0, true),
            wall(0.0, 90.0, false),
            wall(1e9, 110.0, true),
            wall(1e9, 90.0, false),
        ];
        let corridor = Corridor::between(&walls).expect("there is a line");
        let (low, high) = corridor.at(5e8);
        assert!((low - 90.0).abs() < 1.0 && (high - 110.0).abs() < 1.0, "{low} {high}");
        let (low, high) = corridor.at(2e9);
        assert!((low - 70.0).abs() < 1.0 && (high - 130.0).abs() < 1.0, "it opens: {low} {high}");
    }

    #[test]
    fn no_line_passes_a_step() {
        let walls = [
            wall(0.0, 10.0, true),
            wall(0.0, 0.0, false),
            wall(1e3, 1_000.0, true),
            wall(1e3, 990.0, false),
        ];
        assert_eq!(Corridor::between(&walls), None);
    }

    #[test]
    fn one_way_is_open_on_the_other_side() {
        let corridor = Corridor::between(&[wall(0.0, 10.0, true)]).expect("there is a line");
        let (low, high) = corridor.at(0.0);
        assert!(is_open(low, high) && (high - 10.0).abs() < 1.0);
    }

    proptest! {
        /// Any clock with a constant drift stays inside of the walls that its own messages put up, and messages that were not
        /// looked at change nothing of that.
        #[test]
        fn the_truth_is_inside(
            offset in -1_000_000_000i64..1_000_000_000,
            drift in -200i64..200,
            delays in prop::collection::vec((0i64..60_000_000_000, 0i64..1_000_000, any::<bool>()), 2..60),
        ) {
            let drift = drift as f64 * 1e-6;
            let truth = |at: f64| offset as f64 + drift * at;
            let mut walls: Vec<Wall> = delays.iter().map(|&(at, delay, is_upper)| {
                let side = if is_upper { 1.0 } else { -1.0 };
                wall(at as f64, truth(at as f64) + side * delay as f64, is_upper)
            }).collect();
            walls.sort_by(|a, b| a.at_ns.total_cmp(&b.at_ns));
            // Rounding may not close a corridor that is a line wide.
            walls.iter_mut().for_each(|wall| wall.ahead_ns += if wall.is_upper { 1.0 } else { -1.0 });
            let corridor = Corridor::between(&walls).expect("the truth is a line");
            for at in [0.0, 30e9, 60e9] {
                let (low, high) = corridor.at(at);
                prop_assert!(low <= truth(at) + 1.0 && truth(at) <= high + 1.0, "{low} {} {high}", truth(at));
            }
        }
    }
}
