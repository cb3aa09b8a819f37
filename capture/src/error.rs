//! What can go wrong once recording was asked for. What is known to lack beforehand is a [`Missing`](crate::missing::Missing).

/// The result of something that may fail while recording.
pub type Result<T> = std::result::Result<T, Error>;

/// Why recording could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A probe was asked for by name and can't run.
    #[error("error[probe-cannot-run]: {probe}: {why}")]
    CannotRun {
        /// The probe.
        probe: &'static str,
        /// What it lacks.
        why: String,
    },
    /// None of the automatic probes can run.
    #[error("error[nothing-can-run]: no probe can run here: {why}")]
    NothingCanRun {
        /// Each and what it lacks.
        why: String,
    },
    /// The kernel refused something that the check did not foresee.
    #[error("error[probe-refused]: {probe}: {step}: {why}")]
    Refused {
        /// The probe.
        probe: &'static str,
        /// What was being done.
        step: String,
        /// What the kernel said, the whole chain.
        why: String,
    },
    /// Something of the operating system.
    #[error("error[system]: {what}: {why}")]
    System {
        /// What was being done.
        what: String,
        /// What was said.
        why: String,
    },
    /// An argument makes no sense.
    #[error("error[bad-arguments]: {0}")]
    BadArguments(String),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] afterpath_formats::Error),
}

impl Error {
    /// The kernel refused `step` of `probe`. The verifier's log, if there is one, is kept at its last lines.
    pub(crate) fn probe(
        probe: &'static str,
        step: &str,
        error: &(impl std::error::Error + ?Sized),
    ) -> Error {
        Error::Refused { probe, step: step.to_string(), why: chain(error) }
    }

    pub(crate) fn system(what: &str, error: &(impl std::fmt::Display + ?Sized)) -> Error {
        Error::System { what: what.to_string(), why: error.to_string() }
    }
}

/// An error and its causes, each once.
fn chain(error: &(impl std::error::Error + ?Sized)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.len() {
        0..=6 => lines.join("; "),
        n => format!("{}; … {}", lines[0], lines[n - 4..].join("; ")),
    }
}
