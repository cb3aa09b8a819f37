//! Whether links are as sure as they say. Never fits anything.

/// Bins of the expected calibration error.
const BINS: usize = 10;

/// Confidences, and what became of them.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Calibration {
    said: Vec<(f64, bool)>,
}

/// What is wrong with them.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Errors {
    /// Of how many.
    pub n: u64,
    /// Share that was right.
    pub right: f64,
    /// Expected calibration error in ten bins of equal width: the mean distance of said from so (Naeini 2015).
    pub expected_calibration_error: f64,
    /// Mean squared error of the confidence (Brier 1950).
    pub brier: f64,
    /// The same of somebody who always says the share that is right.
    pub brier_of_a_constant: f64,
}

impl Calibration {
    pub(crate) fn count(&mut self, confidence: f64, right: bool) {
        self.said.push((confidence, right));
    }

    /// The errors; none without a link.
    pub fn errors(&self) -> Option<Errors> {
        let n = self.said.len() as f64;
        if self.said.is_empty() {
            return None;
        }
        let is = |right: bool| f64::from(u8::from(right));
        let right = self.said.iter().map(|(_, right)| is(*right)).sum::<f64>() / n;
        let mut bins = [(0.0, 0.0); BINS];
        for (confidence, right) in &self.said {
            let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
            *bin = (bin.0 + confidence, bin.1 + is(*right));
        }
        let distance: f64 = bins.iter().map(|(said, so)| (said - so).abs()).sum();
        let squares = self.said.iter().map(|(said, right)| (said - is(*right)).powi(2));
        Some(Errors {
            n: self.said.len() as u64,
            right,
            expected_calibration_error: distance / n,
            brier: squares.sum::<f64>() / n,
            brier_of_a_constant: right * (1.0 - right),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &[(f64, bool)], expected: (f64, f64, f64)) {
        let errors = Calibration { said: said.to_vec() }.errors().expect("there are some");
        let found = (errors.expected_calibration_error, errors.brier, errors.brier_of_a_constant);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        let same =
            near(found.0, expected.0) && near(found.1, expected.1) && near(found.2, expected.2);
        assert!(same, "{found:?} instead of {expected:?}");
    }

    #[test]
    fn sure_and_right_unsure_and_half_right_sure_and_wrong() {
        check(&[(1.0, true), (1.0, true)], (0.0, 0.0, 0.0));
        check(&[(0.5, true), (0.5, false)], (0.0, 0.25, 0.25));
        check(&[(1.0, false), (1.0, true)], (0.5, 0.5, 0.25));
    }
}
