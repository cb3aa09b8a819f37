//! Stretches of time in which one straight line relates two clocks. Where a clock was set, no line passes between the walls before
//! and after: there it is cut, and when exactly that was is as uncertain as the walls leave it. Single walls that contradict all others
//! are left out and counted. Never cuts for less than several walls.

use super::corridor::{Corridor, Wall};

/// A cut needs so many walls behind it that contradict those before.
const SEVERAL: usize = 4;
/// More often than that no clock is set in a minute; whatever else it does is no line.
const MOST_PIECES: usize = 8;
/// So many contradicting walls are looked at.
const MOST_LEFT_OUT: usize = 64;

/// One line's worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Piece {
    /// It may hold from here …
    pub(super) from_ns: f64,
    /// … to here; neighbours overlap where nobody knows which of them holds.
    pub(super) to_ns: f64,
    pub(super) corridor: Corridor,
}

/// All pieces of a window, and when walls were left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pieces {
    pub(super) pieces: Vec<Piece>,
    pub(super) left_out: Vec<f64>,
}

impl Pieces {
    /// Of walls in order of time; no pieces where there are no walls, or nothing fits.
    pub(super) fn of(walls: &[Wall]) -> Pieces {
        let mut found = Pieces::default();
        let mut rest = walls.to_vec();
        // Where the piece that comes next may begin at the earliest.
        let mut from_ns = f64::NEG_INFINITY;
        while !rest.is_empty() && found.pieces.len() < MOST_PIECES {
            let n_fit = fitting(&rest);
            if n_fit == rest.len() {
                found.pieces.extend(Corridor::between(&rest).map(|corridor| Piece {
                    from_ns,
                    to_ns: f64::INFINITY,
                    corridor,
                }));
                return found;
            }
            let is_last = rest.len() - n_fit <= SEVERAL;
            // Too far off for any line that is looked for, whatever the others say.
            let is_beyond = n_fit == 0;
            let may_leave_out = found.left_out.len() < MOST_LEFT_OUT;
            if may_leave_out && (is_beyond || is_last || is_alone(&rest, n_fit)) {
                found.left_out.push(rest.remove(n_fit).at_ns);
                continue;
            }
            if is_beyond {
                break;
            }
            // What fits the piece behind, backwards, may already be of it.
            let begin = n_fit - fitting_backwards(&rest, n_fit);
            let before = &rest[..begin.max(1)];
            if let Some(corridor) = Corridor::between(before) {
                found.pieces.push(Piece { from_ns, to_ns: rest[n_fit].at_ns, corridor });
            }
            from_ns = before[before.len() - 1].at_ns;
            rest.drain(..n_fit);
        }
        if !rest.is_empty() {
            // What it did there is no line: nothing is known.
            let left_out = walls.iter().map(|wall| wall.at_ns).collect();
            return Pieces { pieces: Vec::new(), left_out };
        }
        found
    }

    /// The least and the most that is possible in a stretch, at one of its ends.
    pub(super) fn at(&self, stretch: (f64, f64), at_ns: f64) -> Option<(f64, f64)> {
        let holds = |piece: &&Piece| piece.from_ns < stretch.1 && stretch.0 < piece.to_ns;
        let ranges = self.pieces.iter().filter(holds).map(|piece| piece.corridor.at(at_ns));
        ranges.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// How many walls, from the first, one line passes. What passes more passes fewer, too.
fn fitting(walls: &[Wall]) -> usize {
    let (mut fits, mut not) = (0, walls.len() + 1);
    if Corridor::between(walls).is_some() {
        return walls.len();
    }
    while not - fits > 1 {
        let middle = fits.midpoint(not);
        match Corridor::between(&walls[..middle.min(walls.len())]) {
            Some(_) => fits = middle,
            None => not = middle,
        }
    }
    fits
}

/// How many walls before `n` fit those from `n` on, as far as these fit one another.
fn fitting_backwards(walls: &[Wall], n: usize) -> usize {
    let behind = fitting(&walls[n..]);
    let (mut fits, mut not) = (0, n + 1);
    while not - fits > 1 {
        let middle = fits.midpoint(not);
        match Corridor::between(&walls[n - middle.min(n)..n + behind]) {
            Some(_) if middle <= n => fits = middle,
            _ => not = middle,
        }
    }
    fits
}

/// Whether the wall at `n` contradicts those before and the next ones do not.
fn is_alone(walls: &[Wall], n: usize) -> bool {
    let behind = &walls[n + 1..(n + 1 + SEVERAL).min(walls.len())];
    let without: Vec<Wall> = walls[..n].iter().chain(behind).copied().collect();
    Corridor::between(&without).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two ways each millisecond, 20 µs each, of a clock that says so much at that millisecond.
    fn walls(ahead: impl Fn(usize) -> f64, n: usize) -> Vec<Wall> {
        let both = |i: usize| {
            let at_ns = i as f64 * 1e6;
            [(20e3, true), (-20e3, false)].map(|(delay, is_upper)| Wall {
                at_ns,
                ahead_ns: ahead(i) + delay,
                is_upper,
            })
        };
        (0..n).flat_map(both).collect()
    }

    #[test]
    fn a_steady_clock_is_one_piece() {
        let found = Pieces::of(&walls(|i| 5e6 + i as f64 * 40.0, 1_000));
        assert_eq!((found.pieces.len(), found.left_out.len()), (1, 0));
        let (low, high) = found.at((0.0, 1e9), 5e8).expect("it is known");
        assert!(low <= 5_020_000.0 && 5_020_000.0 <= high && high - low < 45e3, "{low} {high}");
        assert_eq!(Pieces::of(&[]), Pieces::default());
    }

    #[test]
    fn a_clock_that_was_set_is_two_and_in_between_both_are_possible() {
        let found = Pieces::of(&walls(|i| if i < 400 { 0.0 } else { 3e6 }, 1_000));
        assert_eq!((found.pieces.len(), found.left_out.len()), (2, 0), "{found:?}");
        let at = |ms: f64| found.at((ms * 1e6, ms * 1e6 + 1.0), ms * 1e6).expect("it is known");
        let (low, high) = at(399.5);
        assert!(low < 0.0 && 3e6 < high, "{low} {high}");
        assert!(at(300.0).1 < 1e5 && at(500.0).0 > 2.9e6);
    }

    #[test]
    fn one_wall_that_contradicts_all_others_is_left_out() {
        let mut walls = walls(|_| 0.0, 1_000);
        walls[700].ahead_ns = -5e6;
        let found = Pieces::of(&walls);
        assert_eq!((found.pieces.len(), found.left_out.len()), (1, 1));
    }

    #[test]
    fn walls_that_no_line_passes_are_left_out_and_never_waited_for() {
        let found = Pieces::of(&walls(|i| if i % 100 == 50 { 5e15 } else { 0.0 }, 1_000));
        // Of each such instant the lower wall; the upper one is merely far away.
        assert_eq!((found.pieces.len(), found.left_out.len()), (1, 10));
        let found = Pieces::of(&walls(|_| 5e15, 1_000));
        assert_eq!((found.pieces.len(), found.left_out.len()), (0, 2_000));
        assert_eq!(Pieces::of(&walls(|_| -5e15, 20)).pieces, []);
    }

    #[test]
    fn what_is_no_line_is_not_known() {
        let found = Pieces::of(&walls(|i| if i % 2 == 0 { 0.0 } else { 1e9 }, 100));
        assert!(found.pieces.is_empty());
    }
}
