//! Spans at other loads and sizes: traces nearer to one another, or more of them. Every trace stays as it was. Never draws anything.

use afterpath_formats::table::spans::SpanRow;
use std::collections::BTreeMap;

/// Between two copies.
const GAP_NS: i64 = 1_000_000_000;

/// Moves each trace as a whole, so that the gaps between their starts are `n` times shorter and the load `n` times higher.
pub fn compress(rows: &mut [SpanRow], n: i64) {
    let mut starts: BTreeMap<[u8; 16], i64> = BTreeMap::new();
    for row in rows.iter() {
        let start = starts.entry(row.trace_id).or_insert(row.start_ns);
        *start = row.start_ns.min(*start);
    }
    let Some(first) = starts.values().min().copied() else { return };
    for row in rows {
        let start = starts[&row.trace_id];
        let earlier = (start - first) - (start - first) / n.max(1);
        (row.start_ns, row.end_ns) = (row.start_ns - earlier, row.end_ns - earlier);
    }
}

/// So many copies one after the other, each with traces of its own.
pub fn replicate(rows: &[SpanRow], n: u32) -> Vec<SpanRow> {
    let first = rows.iter().map(|row| row.start_ns).min().unwrap_or(0);
    let last = rows.iter().map(|row| row.end_ns).max().unwrap_or(0);
    let copy = |number: u32| {
        rows.iter().cloned().map(move |mut row| {
            let later = i64::from(number) * (last - first + GAP_NS);
            let (mark, id) = row.trace_id.split_at_mut(4);
            mark.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, n)| *byte ^= n);
            debug_assert_eq!(id.len(), 12);
            (row.start_ns, row.end_ns) = (row.start_ns + later, row.end_ns + later);
            row
        })
    };
    (0..n).flat_map(copy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(trace: u8, start_ns: i64, end_ns: i64) -> SpanRow {
        SpanRow { trace_id: [trace; 16], start_ns, end_ns, ..SpanRow::default() }
    }

    #[test]
    fn traces_move_as_a_whole() {
        let mut rows = [row(1, 100, 200), row(2, 1100, 1200), row(2, 1150, 1160)];
        compress(&mut rows, 10);
        assert_eq!(rows, [row(1, 100, 200), row(2, 200, 300), row(2, 250, 260)]);
    }

    #[test]
    fn copies_have_traces_of_their_own() {
        let rows = replicate(&[row(1, 0, 5)], 2);
        assert_eq!((rows[1].start_ns, rows[1].end_ns), (GAP_NS + 5, GAP_NS + 10));
        assert_ne!(rows[0].trace_id, rows[1].trace_id);
    }
}
