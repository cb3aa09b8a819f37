//! A plain text table: columns as wide as their longest cell, the flexible ones cut in their middle to what the line leaves, columns that may be
//! left out gone before. Never cuts a number.

use super::harmless::{fit_left, fit_middle, fit_right, width};
use super::ink::Ink;
use std::io;

/// What a cell means, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// Nothing special.
    Plain,
    /// Where the time went.
    Slow,
    /// Went wrong.
    Failed,
}

/// A table being put together.
pub(super) struct Grid {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<(String, Tone)>>,
    left_out: Vec<(&'static str, usize)>,
}

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Text, whole as long as it can be.
    Left,
    /// Text that says nothing when it is cut: ids, instants.
    Whole,
    /// A number.
    Right,
    /// Text that gives way when the line is too long; several share what is left.
    Flexible,
}

impl Grid {
    /// With these columns.
    pub(super) fn new(columns: &[(&'static str, Align)]) -> Self {
        Grid { columns: columns.to_vec(), rows: Vec::new(), left_out: Vec::new() }
    }

    /// Columns that are left out, the first first, before flexible text is cut to fewer than so many columns; the JSON has them. What may
    /// be said of more before comes first.
    pub(super) fn leaving_out(mut self, left_out: &[&'static str], tells: usize) -> Self {
        self.left_out.extend(left_out.iter().map(|name| (*name, tells)));
        self
    }

    /// Adds a row of as many cells as columns.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        let cells = cells
            .into_iter()
            .map(|(text, tone)| (super::harmless::harmless(&text).into_owned(), tone));
        self.rows.push(cells.collect());
    }

    /// Adds a row of plain cells.
    pub(super) fn plain(&mut self, cells: impl IntoIterator<Item = String>) {
        self.row(cells.into_iter().map(|c| (c, Tone::Plain)));
    }

    /// Writes it, each line after `indent`.
    pub(super) fn write(&self, ink: &mut Ink<'_>, indent: &str) -> io::Result<()> {
        let (shown, widths, gap) = self.fitted(ink.width.saturating_sub(width(indent)));
        let heads: Vec<_> =
            self.columns.iter().map(|(name, _)| ((*name).to_owned(), Tone::Plain)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = indent.to_owned();
            for (&i, columns) in shown.iter().zip(&widths) {
                let Some((cell, tone)) = row.get(i) else { continue };
                let cell = match self.columns[i].1 {
                    Align::Right => fit_right(cell, *columns),
                    Align::Left | Align::Whole => fit_left(cell, *columns),
                    Align::Flexible => fit_left(&fit_middle(cell, *columns), *columns),
                };
                line.push_str(&match tone {
                    Tone::Plain => cell,
                    Tone::Slow => ink.slow(&cell),
                    Tone::Failed => ink.failed(&cell),
                });
                line.push_str(&" ".repeat(gap));
            }
            ink.line(&line)?;
        }
        Ok(())
    }

    /// Which columns are left out of lines this wide after this indent, in the order in which they go.
    pub(super) fn left_out(&self, line: usize, indent: &str) -> Vec<&'static str> {
        let (shown, ..) = self.fitted(line.saturating_sub(width(indent)));
        let is_shown = |name: &str| shown.iter().any(|&i| self.columns[i].0 == name);
        self.left_out.iter().map(|(name, _)| *name).filter(|name| !is_shown(name)).collect()
    }

    /// Which columns are shown, how wide, and how far apart.
    fn fitted(&self, line: usize) -> (Vec<usize>, Vec<usize>, usize) {
        let cell = |i: usize| self.rows.iter().filter_map(move |r| r.get(i)).map(|(c, _)| width(c));
        let cells: Vec<usize> =
            (0..self.columns.len()).map(|i| cell(i).max().unwrap_or(0)).collect();
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        for (name, tells) in &self.left_out {
            let (widths, _) = self.widths(&shown, &cells, line);
            let is_cut = |(&i, &columns): (&usize, &usize)| {
                self.columns[i].1 == Align::Flexible && columns < cells[i].min(*tells)
            };
            if shown.iter().zip(&widths).any(is_cut) {
                shown.retain(|&i| self.columns[i].0 != *name);
            }
        }
        let (widths, gap) = self.widths(&shown, &cells, line);
        (shown, widths, gap)
    }

    /// Columns of each column that is shown, and between two. What is too wide gives way in this order: flexible text, the gaps, heads
    /// over numbers, other text.
    fn widths(&self, shown: &[usize], cells: &[usize], line: usize) -> (Vec<usize>, usize) {
        let mut widths: Vec<usize> =
            shown.iter().map(|&i| cells[i].max(width(self.columns[i].0))).collect();
        let gaps = widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + 2 * gaps).saturating_sub(line);
        let mut gap = 2;
        for (align, least) in GIVING_WAY {
            if excess > 0 && align == Align::Right {
                (gap, excess) = (1, excess.saturating_sub(gaps));
            }
            let least = |at: usize| match align {
                Align::Right => cells[shown[at]].max(least),
                _ => least,
            };
            // The widest gives way first, column by column, so that short cells stay whole.
            while excess > 0 {
                let may =
                    |at: &usize| self.columns[shown[*at]].1 == align && widths[*at] > least(*at);
                let Some(widest) = (0..widths.len()).filter(may).max_by_key(|&at| widths[at])
                else {
                    break;
                };
                widths[widest] -= 1;
                excess -= 1;
            }
        }
        (widths, gap)
    }
}

/// Which columns give way, down to how many; numbers themselves never do.
const GIVING_WAY: [(Align, usize); 5] = [
    (Align::Flexible, 8),
    (Align::Right, 4),
    (Align::Left, 8),
    (Align::Flexible, 4),
    (Align::Left, 4),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Options;

    fn check(columns: usize, expected: &[&str]) {
        let mut grid = Grid::new(&[
            ("place", Align::Flexible),
            ("n", Align::Right),
            ("p90", Align::Right),
            ("max", Align::Right),
        ])
        .leaving_out(&["p90", "max"], 30);
        grid.plain(["podE/java[151] → podE/eth0", "246", "6.78 µs", "12.3 µs"].map(String::from));
        let mut out = Vec::new();
        let options = Options { width: columns, ..Options::default() };
        grid.write(&mut Ink::new(&mut out, &options), "").unwrap();
        assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn columns_go_before_text_is_cut_in_its_middle() {
        let whole = "podE/java[151] → podE/eth0  246  6.78 µs  12.3 µs";
        check(60, &["place                         n      p90      max", whole]);
        let without = "podE/java[151] → podE/eth0  246  12.3 µs";
        check(45, &["place                         n      max", without]);
        check(32, &["place                         n", "podE/java[151] → podE/eth0  246"]);
        check(20, &["place              n", "podE/java…/eth0  246"]);
    }
}
