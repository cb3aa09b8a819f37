//! What the terminal is like, progress on it, warnings, threads. Progress shows only on a terminal; results never go
//! through here.

use crate::arguments;
use crate::failure::Failure;
use crate::staging;
use afterpath::report::harmless::harmless;
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Columns where stdout is no terminal.
const COLUMNS: usize = 100;

/// Columns of the terminal, as far as a report can be written in them.
pub(crate) fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let seen = || terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0));
    let columns = match std::io::stdout().is_terminal() {
        true => seen().or(told),
        false => told,
    };
    let (least, most) = (*arguments::COLUMNS.start(), *arguments::COLUMNS.end());
    columns.unwrap_or(COLUMNS).clamp(least as usize, most as usize)
}

/// Whether text may be coloured when nobody said: a terminal, no `NO_COLOR`, not a dumb one.
pub(crate) fn takes_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb
}

/// How many threads to work with; nothing: as many as there are processors.
pub(crate) fn set_threads(threads: Option<u16>) -> Result<()> {
    let threads = threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.map_err(|e| Failure::new("threads", format!("{e}; --threads 1 takes fewest")).into())
}

/// A line on stderr; it names outputs, never where they are staged.
pub(crate) fn note(text: &str) {
    // stderr may be closed; the work goes on, and the exit code says how it ended.
    let text = staging::naming_targets(text);
    let _ = writeln!(std::io::stderr(), "{}", harmless(&text));
}

/// A warning about a file.
pub(crate) fn warn(error: &afterpath_formats::error::Error) {
    note(&error.to_string().replacen("error[", "warning[", 1));
}

/// Something that takes a while.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show; hidden where stderr is no terminal.
    pub(crate) fn begin(what: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(harmless(what).into_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress(bar)
    }

    /// Says what goes on now.
    pub(crate) fn now(&self, what: &str) {
        self.0.set_message(harmless(what).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
