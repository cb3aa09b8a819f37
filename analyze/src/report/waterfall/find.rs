//! Which trace a person means. Never guesses among several: all that fit are given.

use crate::analysis::Analysis;
use crate::call::Call;
use crate::report::calls;

/// Indices of the traces an id names: a trace's or a call's id or the beginning of one (4 digits at least), or a planted
/// id: its whole value, or a part of it between separators (the trace id of a traceparent).
pub fn find(analysis: &Analysis, wanted: &str) -> Vec<u32> {
    let wanted = wanted.trim().to_ascii_lowercase();
    if wanted.is_empty() {
        return Vec::new();
    }
    let exact = select(analysis, |c| calls::id(c.id) == wanted || planted(c, &wanted));
    if !exact.is_empty() || wanted.len() < 4 {
        return exact;
    }
    let by_trace: Vec<u32> = (0..analysis.traces.len() as u32)
        .filter(|&t| calls::id(analysis.traces[t as usize].id).starts_with(&wanted))
        .collect();
    if by_trace.is_empty() {
        select(analysis, |c| calls::id(c.id).starts_with(&wanted))
    } else {
        by_trace
    }
}

fn select(analysis: &Analysis, is_wanted: impl Fn(&Call) -> bool) -> Vec<u32> {
    let mut found: Vec<u32> =
        analysis.calls.iter().filter(|c| is_wanted(c)).map(|c| c.trace).collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn planted(call: &Call, wanted: &str) -> bool {
    let is_part = |value: &str| {
        value.eq_ignore_ascii_case(wanted)
            || value.split(['-', ':', ',', ';', ' ']).any(|part| part.eq_ignore_ascii_case(wanted))
    };
    call.ids.iter().any(|(_, value)| is_part(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn check(wanted: &str, expected: &[u32]) {
        assert_eq!(find(&sample::shop(), wanted), expected, "{wanted}");
    }

    #[test]
    fn found_by_id_prefix_and_planted_id() {
        check("3f9c21aa04b7d100", &[0]);
        check("3F9C21AA04B7D1", &[0]);
        check("3f9c21aa04b7e211", &[0]); // a call's id
        check("4bf92f3577b34da6a3ce929d0e0e4736", &[0]);
        check("00f067aa0ba902b7", &[0]);
        check("3f9c", &[0, 1, 2]);
        check("3f9", &[]);
        check("", &[]);
        check("nothing like it", &[]);
    }
}
