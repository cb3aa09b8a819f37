//! Sections of a page with a table, laid out so that the text can be read, too.

use std::fmt::Write;

/// A heading, what the columns mean, and the rows; the first one names the columns.
pub(super) fn section(name: &str, about: &str, table: &[Vec<String>]) -> String {
    let mut text = format!("\n## {name}\n\n{about}\n\n");
    let n_columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        table.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..n_columns).map(|column| width(column).unwrap_or(0)).collect();
    for (i, row) in table.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if i == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            let _ = writeln!(text, "|-{}-|", rules.join("-|-"));
        }
    }
    text
}
