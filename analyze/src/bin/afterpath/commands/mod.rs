//! One file per kind of command; here only which is which. Reports are all the same command.

use crate::arguments::{Arguments, Command};
use anyhow::Result;
use clap::{ArgMatches, CommandFactory};

mod analyze;
mod demo;
mod export;
mod import;
mod man;
mod pack;
mod record;
mod repair;
mod report;
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
        Command::Analyze(a) => analyze::run(a, strict),
        Command::Traces(a) => report::traces(a, strict),
        Command::Trace(a) => report::trace(a, strict),
        Command::Hops(a) => report::selected("hops", a, strict),
        Command::Services(a) => report::selected("services", a, strict),
        Command::Flows(a) => report::selected("flows", a, strict),
        Command::Links(a) => report::selected("links", a, strict),
        Command::Findings(a) => report::findings(a, strict),
        Command::Clocks(a) => report::clocks(a, strict),
        Command::Explain(a) => report::explain(a, strict),
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
