//! `afterpath`: everything done with a recording after it was made. Words, paths and printing; never an analysis of its
//! own.

#![allow(clippy::disallowed_methods, reason = "the binary opens files and knows its environment")]

use anyhow::Error;
use clap::{CommandFactory, FromArgMatches};
use std::process::ExitCode;

mod arguments;
mod asked;
mod commands;
mod failure;
mod input;
mod interrupt;
mod replaceable;
mod results;
mod runs;
mod staging;
mod terminal;
mod written;

use arguments::Arguments;
use failure::Failure;

/// Import and dissection allocate and free much in several threads; measured in `tests/benches`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    interrupt::listen();
    panics_without_memory();
    let done =
        terminal::set_threads(arguments.threads).and_then(|()| commands::run(&arguments, &matches));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // `| head` has seen enough: nothing went wrong.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let (text, code) = shown(&error);
            terminal::note(&text);
            ExitCode::from(code)
        }
    }
}

/// Memory that a backtrace may take: the program's own line tables are read for it.
const ROOM_FOR_A_BACKTRACE: usize = 256 << 20;

/// A panic where memory is short is said in a line. A backtrace (RUST_BACKTRACE) that runs out of memory would wait for itself for ever: the
/// standard library's message of that takes the lock which printing the backtrace holds.
fn panics_without_memory() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        match Vec::<u8>::new().try_reserve_exact(ROOM_FOR_A_BACKTRACE) {
            Ok(()) => usual(info),
            Err(_) => terminal::note(&info.to_string()),
        }
    }));
}

fn shown(error: &Error) -> (String, u8) {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return (failure.to_string(), failure.code());
    }
    if let Some(error) = error.downcast_ref::<afterpath_formats::error::Error>() {
        let wrong_usage = matches!(error.kind, afterpath_formats::error::Kind::BadArguments(_));
        return (error.to_string(), if wrong_usage { 2 } else { 1 });
    }
    (format!("error[io]: {error:#}"), 1)
}

fn is_broken_pipe(error: &Error) -> bool {
    let kind =
        |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(std::io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(std::io::ErrorKind::BrokenPipe))
}
