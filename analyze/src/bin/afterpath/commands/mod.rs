//! One file per kind of command; here only which is which. Reports are all the same command.

use crate::arguments::{Arguments, Command};
use anyhow::Result;
use clap::{ArgMatches, CommandFactory};

mod demo;
mod diff;
mod export;
mod import;
mod man;
mod pack;
mod page;
mod record;
mod repair;
pub(crate) mod report;
mod verify;

/// Does what was asked.
pub(crate) fn run(arguments: &Arguments, matches: &ArgMatches) -> Result<()> {
    let strict = arguments.strict;
    match &arguments.command {
        Command::Demo(a) => demo::run(a),
        Command::Import(a) => {
            let words =
                matches.subcommand_matches("import").map_or_else(Vec::new, |m| import::words(a, m));
            import::run(a, &words, strict)
        }
        Command::Report(asked) => report::run(asked, strict),
        Command::Page(a) => page::run(a, strict),
        Command::Diff(a) => diff::run(a),
        Command::Export(a) => export::run(a, strict),
        Command::Verify(a) => verify::run(a, strict),
        Command::Pack(a) => pack::run(a),
        Command::Repair(a) => repair::run(a, strict),
        Command::Record { arguments } => record::run(arguments),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "afterpath", &mut script);
            report::to_stdout(|out| Ok(out.write_all(&script)?))
        }
        Command::Man(a) => man::run(a),
    }
}
