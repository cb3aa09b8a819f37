//! What the program itself could not do: a stable name, what was wrong, what to do. Errors of files are those of
//! `afterpath_formats`.

use std::fmt;

/// An error with a stable name.
#[derive(Debug)]
pub(crate) struct Failure {
    name: &'static str,
    text: String,
    code: u8,
}

impl Failure {
    /// Could not be done: exit code 1.
    pub(crate) fn new(name: &'static str, text: impl Into<String>) -> Self {
        Failure { name, text: text.into(), code: 1 }
    }

    /// Asked wrongly: exit code 2.
    pub(crate) fn usage(name: &'static str, text: impl Into<String>) -> Self {
        Failure { name, text: text.into(), code: 2 }
    }

    /// What was asked to hold does not: exit code 3.
    pub(crate) fn gate(name: &'static str, text: impl Into<String>) -> Self {
        Failure { name, text: text.into(), code: 3 }
    }

    /// Not enough is known to say: exit code 4.
    pub(crate) fn not_enough(name: &'static str, text: impl Into<String>) -> Self {
        Failure { name, text: text.into(), code: 4 }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.name, self.text)
    }
}

impl std::error::Error for Failure {}
