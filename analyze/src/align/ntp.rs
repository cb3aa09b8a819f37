//! How far NTP kept each machine's clock from Unix time, as its kernel said: whose clock the common timeline should be. Never corrects
//! a clock, and believes none that was not synchronized all the time.

use afterpath_formats::bundle::Bundles;
use afterpath_formats::table::clock::{self, ClockRow};

/// By clock domain the greatest error that its kernel admitted, nanoseconds; `None`: not synchronized, or nobody wrote it down.
pub fn errors(bundles: &Bundles) -> Vec<Option<i64>> {
    let mut errors: Vec<Option<i64>> = vec![None; bundles.domains.len()];
    for host in 0..bundles.hosts.len() as u32 {
        let batches = bundles.batches(host, &clock::TABLE).flatten();
        let rows: Vec<ClockRow> = batches.flat_map(|batch| clock::rows(&batch)).collect();
        let Some(worst_ns) = worst(&rows) else { continue };
        for interface in bundles.interfaces.iter().filter(|interface| interface.host == host) {
            if let Some(known) = errors.get_mut(interface.domain.0 as usize) {
                *known = Some(known.map_or(worst_ns, |known| known.max(worst_ns)));
            }
        }
    }
    errors
}

/// The greatest error of all readings; `None` if one was not synchronized.
fn worst(rows: &[ClockRow]) -> Option<i64> {
    let mut worst_ns = None;
    for row in rows {
        let error_ns = row.maximum_error_ns.filter(|_| row.synchronized == Some(true))?;
        worst_ns = worst_ns.max(Some(error_ns));
    }
    worst_ns
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (synchronized, greatest error) of each reading.
    fn check(readings: &[(Option<bool>, Option<i64>)], expected: Option<i64>) {
        let row = |&(synchronized, maximum_error_ns): &(Option<bool>, Option<i64>)| ClockRow {
            synchronized,
            maximum_error_ns,
            ..ClockRow::default()
        };
        assert_eq!(worst(&readings.iter().map(row).collect::<Vec<_>>()), expected);
    }

    #[test]
    fn a_clock_is_as_good_as_its_worst_reading() {
        check(&[], None);
        check(&[(Some(true), Some(5)), (Some(true), Some(9)), (Some(true), Some(2))], Some(9));
        check(&[(Some(true), Some(5)), (Some(false), Some(9))], None);
        check(&[(None, None), (Some(true), Some(5))], None);
    }
}
