//! The reports as commands: each of the library's table, with the arguments that it asks for. No report is known by name here.

use crate::arguments::{Reading, Selection};
use crate::commands::report::shown_options;
use crate::failure::Failure;
use afterpath::analysis::Analysis;
use afterpath::findings::verdict;
use afterpath::names::Names;
use afterpath::report::{Ask, Moment, Options, REPORTS, Report, Zone, instant, waterfall};
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use std::collections::BTreeSet;

/// A report, and what was asked of it.
pub(crate) struct Asked {
    pub(crate) report: &'static Report,
    pub(crate) reading: Reading,
    selection: Option<Selection>,
    slowest: Option<usize>,
    trace: Option<Trace>,
    instant: Option<Instant>,
    service: Option<String>,
}

#[derive(Args)]
struct Slowest {
    /// Only the N slowest, slowest first
    #[arg(long, value_name = "N")]
    slowest: Option<usize>,
}

#[derive(Args)]
struct Trace {
    /// A trace's or call's id, the beginning of one, or a planted id (traceparent's trace id, X-Request-ID …)
    id: String,
    /// Every point and part on its own line
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Args)]
struct Instant {
    /// ISO 8601, a time of day, Unix time (seconds to nanoseconds), or +12.3s after the recording's start
    #[arg(value_name = "TIME", allow_hyphen_values = true)]
    time: String,
    /// How far around it
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    window: i64,
}

#[derive(Args)]
struct Service {
    /// Tell each finding as this service (or namespace, host, pod) sees it: its own, upstream, downstream or elsewhere
    #[arg(long = "for", value_name = "SERVICE")]
    service: Option<String>,
}

/// The reports that are commands, and what each asks for.
fn commands() -> impl Iterator<Item = (&'static Report, &'static [Ask])> {
    REPORTS.iter().filter_map(|report| Some((report, report.asks?)))
}

impl Subcommand for Asked {
    fn augment_subcommands(all: Command) -> Command {
        commands().fold(all, |all, (report, asks)| {
            let one = asks.iter().fold(Command::new(report.name), |one, ask| match ask {
                Ask::Selection => Selection::augment_args(one),
                Ask::Slowest => Slowest::augment_args(one),
                Ask::Trace => Trace::augment_args(one),
                Ask::Moment => Instant::augment_args(one),
                Ask::Service => Service::augment_args(one),
            });
            // Arguments bring their own words along: those of the report come last.
            all.subcommand(Reading::augment_args(one).about(report.about).long_about(None))
        })
    }

    fn augment_subcommands_for_update(all: Command) -> Command {
        Self::augment_subcommands(all)
    }

    fn has_subcommand(name: &str) -> bool {
        commands().any(|(report, _)| report.name == name)
    }
}

impl FromArgMatches for Asked {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Asked, clap::Error> {
        let none = || clap::Error::new(ErrorKind::MissingSubcommand);
        let (name, given) = matches.subcommand().ok_or_else(none)?;
        let (report, asks) = commands().find(|(report, _)| report.name == name).ok_or_else(none)?;
        let mut asked = Asked {
            report,
            reading: Reading::from_arg_matches(given)?,
            selection: None,
            slowest: None,
            trace: None,
            instant: None,
            service: None,
        };
        for ask in asks {
            match ask {
                Ask::Selection => asked.selection = Some(Selection::from_arg_matches(given)?),
                Ask::Slowest => asked.slowest = Slowest::from_arg_matches(given)?.slowest,
                Ask::Trace => asked.trace = Some(Trace::from_arg_matches(given)?),
                Ask::Moment => asked.instant = Some(Instant::from_arg_matches(given)?),
                Ask::Service => asked.service = Service::from_arg_matches(given)?.service,
            }
        }
        Ok(asked)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Asked::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Asked {
    /// What the library is asked.
    pub(crate) fn options(&self) -> Result<Options> {
        let zone = self.reading.shown.tz;
        let mut options = Options { slowest: self.slowest, ..shown_options(&self.reading.shown) };
        if let Some(selection) = &self.selection {
            options.failed = selection.failed;
            options.filter = selection.filter(zone)?;
        }
        if let Some(trace) = &self.trace {
            options.trace = trace.id.clone();
            options.verbose = trace.verbose;
        }
        if let Some(instant) = &self.instant {
            options.moment = Some(instant.moment(zone)?);
            options.window_ns = instant.window;
        }
        options.for_service = self.service.clone();
        Ok(options)
    }

    /// What was asked about must be there.
    pub(crate) fn check(&self, analysis: &Analysis) -> Result<()> {
        if let Some(id) = self.trace.as_ref().map(|trace| &trace.id)
            && waterfall::find(analysis, id).is_empty()
        {
            let text = format!(
                "no trace, call or planted id is or begins with `{id}` (4 digits at least); `afterpath traces` lists them"
            );
            return Err(Failure::new("unknown-trace", text).into());
        }
        self.service.as_ref().map_or(Ok(()), |service| is_there(analysis, service))
    }
}

fn is_there(analysis: &Analysis, service: &str) -> Result<()> {
    let names = Names::of(analysis);
    let ends = || analysis.calls.iter().map(|call| &call.server);
    if ends().any(|end| verdict::is_called(&names, end, service)) {
        return Ok(());
    }
    let known: BTreeSet<String> = ends().map(|end| names.server(end)).collect();
    let known: Vec<String> = known.into_iter().collect();
    let text = format!("no service is called `{service}`; there are: {}", known.join(", "));
    Err(Failure::new("unknown-service", text).into())
}

impl Instant {
    fn moment(&self, zone: Zone) -> Result<Moment> {
        Moment::parse(&self.time, zone).ok_or_else(|| {
            let text = format!(
                "`{}` is no instant; give 2026-11-22T10:14:03Z, 10:14:03, Unix time or +12.3s",
                self.time
            );
            Failure::usage("bad-time", text).into()
        })
    }
}

fn duration(text: &str) -> Result<i64, String> {
    instant::parse_duration(text).ok_or_else(|| "give a duration like 500ms or 2s".to_owned())
}
