//! A bar on the trace's timeline in eighths of a column. Never drawn longer than the time it stands for, rounded to an
//! eighth; never so short that it can't be seen.

/// The timeline the bars share.
pub(super) struct Axis {
    /// Its first instant.
    pub(super) start: i64,
    /// Its length, nanoseconds, at least 1.
    pub(super) length: i64,
}

const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

impl Axis {
    /// A call's bar: solid while it worked, light while one of `waits` was open.
    pub(super) fn bar(
        &self,
        columns: usize,
        start: i64,
        length: i64,
        waits: &[(i64, i64)],
    ) -> String {
        let begin = self.eighth(columns, start) / 8;
        let end = self.eighth(columns, start.saturating_add(length)).max(begin * 8 + 1);
        let mut bar = " ".repeat(begin.min(columns.saturating_sub(1)));
        let begin = begin.min(columns.saturating_sub(1));
        for column in begin..columns.min(end.div_ceil(8)) {
            let filled = (end - column * 8).min(8);
            let middle = self.instant_of(columns, column);
            let waiting = waits.iter().any(|(from, to)| (*from..*to).contains(&middle));
            bar.push(match filled {
                8 if waiting => '░',
                8 => '█',
                n => EIGHTHS[n],
            });
        }
        let missing = columns.saturating_sub(bar.chars().count());
        bar + &" ".repeat(missing)
    }

    /// A bar of known length and unknown place: in the middle, dashed.
    pub(super) fn unplaced(&self, columns: usize, length: i64) -> String {
        let share = length.clamp(0, self.length) as f64 / self.length as f64;
        let dashes = ((columns as f64 * share) as usize).clamp(1, columns.max(1));
        let before = (columns - dashes.min(columns)) / 2;
        let bar = format!("{}{}", " ".repeat(before), "┄".repeat(dashes));
        let missing = columns.saturating_sub(bar.chars().count());
        bar + &" ".repeat(missing)
    }

    fn eighth(&self, columns: usize, at: i64) -> usize {
        let offset = (i128::from(at) - i128::from(self.start)).clamp(0, i128::from(self.length));
        ((offset * columns as i128 * 8 + i128::from(self.length) / 2) / i128::from(self.length))
            as usize
    }

    /// The instant at the middle of a column.
    fn instant_of(&self, columns: usize, column: usize) -> i64 {
        let offset =
            i128::from(self.length) * (2 * column as i128 + 1) / (2 * columns.max(1) as i128);
        self.start.saturating_add(offset as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(start: i64, length: i64, waits: &[(i64, i64)], expected: &str) {
        assert_eq!(Axis { start: 100, length: 80 }.bar(10, start, length, waits), expected);
    }

    #[test]
    fn eighths_of_a_column() {
        check(100, 80, &[], "██████████");
        check(108, 12, &[], " █▌       ");
        check(140, 0, &[], "     ▏    ");
        check(180, 0, &[], "         █");
        check(100, 80, &[(116, 140)], "██░░░█████");
    }

    proptest! {
        #[test]
        fn always_as_wide_as_asked(start in any::<i64>(), length in 0..i64::MAX, columns in 1usize..60, axis in 1..i64::MAX) {
            let bar = Axis { start: 0, length: axis }.bar(columns, start, length, &[]);
            prop_assert_eq!(bar.chars().count(), columns);
            prop_assert!(bar.trim() != "");
        }
    }
}
