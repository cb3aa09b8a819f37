//! A plain text table: columns as wide as their longest cell, the flexible one cut to what the line leaves. Never cuts a
//! number.

use super::harmless::{fit_left, fit_right, width};
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
        Grid { columns: columns.to_vec(), rows: Vec::new() }
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
        let (widths, gap) = self.widths(ink.width.saturating_sub(width(indent)));
        let heads: Vec<_> =
            self.columns.iter().map(|(name, _)| ((*name).to_owned(), Tone::Plain)).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = indent.to_owned();
            for (i, ((cell, tone), columns)) in row.iter().zip(&widths).enumerate() {
                let cell = match self.columns[i].1 {
                    Align::Right => fit_right(cell, *columns),
                    Align::Left | Align::Whole | Align::Flexible => fit_left(cell, *columns),
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

    /// Columns of each column, and between two. What is too wide gives way in this order: flexible text, the gaps, heads
    /// over numbers, other text.
    fn widths(&self, line: usize) -> (Vec<usize>, usize) {
        let cell = |i: usize| self.rows.iter().filter_map(move |r| r.get(i)).map(|(c, _)| width(c));
        let cells: Vec<usize> =
            (0..self.columns.len()).map(|i| cell(i).max().unwrap_or(0)).collect();
        let heads = self.columns.iter().map(|(name, _)| width(name));
        let mut widths: Vec<usize> =
            cells.iter().zip(heads).map(|(c, head)| *c.max(&head)).collect();
        let gaps = widths.len().saturating_sub(1);
        let mut excess = (widths.iter().sum::<usize>() + 2 * gaps).saturating_sub(line);
        let mut gap = 2;
        for (align, least) in GIVING_WAY {
            if excess > 0 && align == Align::Right {
                (gap, excess) = (1, excess.saturating_sub(gaps));
            }
            let least = |i: usize| if align == Align::Right { cells[i].max(least) } else { least };
            // The widest gives way first, column by column, so that short cells stay whole.
            while excess > 0 {
                let may = |i: &usize| self.columns[*i].1 == align && widths[*i] > least(*i);
                let Some(widest) = (0..widths.len()).filter(may).max_by_key(|&i| widths[i]) else {
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
