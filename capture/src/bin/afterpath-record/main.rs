//! `afterpath-record`: the recorder's words, arguments and exit codes. Never records by itself: that is the library's work.

#![allow(clippy::print_stderr, reason = "a program speaks to its user there")]

mod check;
mod run;
mod status;
mod units;

use afterpath_capture::broker;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The Afterpath recorder: what every thread did on every socket, and the packets of every namespace, written as a bundle that
/// `afterpath` reconstructs afterwards.
#[derive(Parser)]
#[command(name = "afterpath-record", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Records into a new bundle, until Ctrl-C, a time, or the end of a command.
    Run(Box<run::Arguments>),
    /// Says what a recording holds so far, and whether a recorder is at work in it.
    Status(status::Status),
    /// Keeps what a recording holds so far as a bundle of its own, while it goes on.
    Snapshot(status::Snapshot),
    /// Says which probes could run on this machine and what the others lack.
    ///
    /// Exits 0 whatever it finds; with probes named, 1 when one of them can't run.
    Check(check::Arguments),
    /// Keeps privileges for a recorder that has given them up. Recorders start it, nobody else.
    #[command(hide = true)]
    Broker,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run::run(*arguments),
        Command::Status(arguments) => status::status(&arguments),
        Command::Snapshot(arguments) => status::snapshot(&arguments),
        Command::Check(arguments) => check::check(arguments),
        Command::Broker => broker::serve().map(|()| ExitCode::SUCCESS).map_err(Into::into),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(2)
    })
}
