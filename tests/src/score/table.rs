//! The page of the scores: one row per recording and linker, as text, Markdown and JSON. Never leaves a row out, and never shows
//! a score that is not built yet as a number.

use super::calibration::Errors;
use super::markdown::section;
use super::{ClockScore, Links, LossScore, Score, Share, VerdictScore, Wrong};
use crate::machine;
use crate::oracle::Best;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// What stands for a score that nothing measures yet, or that a recording can't tell.
const NONE: &str = "—";

/// What the name of ours begins with where a kind of evidence was left out.
pub const WITHOUT: &str = "without ";

/// One recording, and one linker's view of it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// How it was recorded.
    pub run: Run,
    /// `afterpath`, or a baseline's name.
    pub linker: String,
    /// `masked`, or `visible`.
    pub ids: &'static str,
    /// Links by threading model.
    pub links: BTreeMap<&'static str, Links>,
    /// All of them.
    pub all_links: Links,
    /// Requests whose whole tree is right.
    pub whole_traces: Share,
    /// Links that are missing or wrong: of which sort, and how many.
    pub wrong: Vec<(Wrong, u64)>,
    /// Confidence over all links.
    pub calibration: Option<Errors>,
    /// And over those with two candidates or more.
    pub calibration_of_doubtful: Option<Errors>,
    /// True calls that passed no point that was recorded; they count nowhere.
    pub not_recorded: u64,
    /// True calls that were found.
    pub calls_found: Share,
    /// Calls of the truth's protocols that are not in it: of health checks and the like, or invented.
    pub unexpected: u64,
    /// True calls whose points are all there, in order, and no others.
    pub paths: Share,
    /// Points that true calls crossed: how many are shown, in order.
    pub points_shown: Share,
    /// Duration of a call at its client's process, shown minus logged, nanoseconds: p50, p99 of the distance.
    pub duration_error_ns: Option<[i64; 2]>,
    /// Time inside a service, shown minus logged.
    pub serving_error_ns: Option<[i64; 2]>,
    /// A held packet's hop, shown minus logged.
    pub hold_error_ns: Option<[i64; 2]>,
    /// What is said of clocks that are wrong; null: none is.
    pub clocks: Option<ClockScore>,
    /// What is said of packets that were dropped.
    pub losses: Option<LossScore>,
    /// Who was blamed.
    pub verdict: Option<VerdictScore>,
    /// What can be known at best of services' calls without events; of our own rows with ids masked.
    pub oracle: Option<Best>,
}

/// How a recording was made.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// `mesh` or `shop`.
    pub topology: String,
    /// `causal` or `timers`.
    pub profile: String,
    /// Workers of the load.
    pub concurrency: u32,
    /// `recorder` or `tcpdump`.
    pub capture: &'static str,
    /// What was done to it, or empty.
    pub fault: String,
    /// Requests in the truth.
    pub n_requests: usize,
    /// Calls in the truth.
    pub n_calls: usize,
    /// How busy the machine was, 0 to 1.
    pub busy: f64,
}

impl Run {
    /// On a line.
    pub fn name(&self) -> String {
        let fault = if self.fault.is_empty() { String::new() } else { format!(", {}", self.fault) };
        let Run { topology, profile, concurrency, capture, .. } = self;
        format!("{topology}, {profile}, c = {concurrency}, {capture}{fault}")
    }
}

impl Row {
    /// From a score.
    pub fn new(run: &Run, linker: &str, ids: &'static str, score: &Score) -> Row {
        let mut all_links = Links::default();
        score.models.values().for_each(|links| all_links.add(*links));
        Row {
            run: run.clone(),
            linker: linker.to_string(),
            ids,
            links: score.models.clone(),
            all_links,
            whole_traces: score.whole_traces,
            wrong: score.wrong.iter().map(|(wrong, n)| (wrong.clone(), *n)).collect(),
            calibration: score.calibration.errors(),
            calibration_of_doubtful: score.doubtful.errors(),
            not_recorded: score.not_recorded,
            calls_found: score.found,
            unexpected: score.unexpected,
            paths: score.paths,
            points_shown: score.taps,
            duration_error_ns: distances(&score.duration_errors_ns),
            serving_error_ns: distances(&score.serving_errors_ns),
            hold_error_ns: distances(&score.hold_errors_ns),
            clocks: score.clocks.clone(),
            losses: score.losses.clone(),
            verdict: score.verdict.clone(),
            oracle: None,
        }
    }
}

/// p50 and p99 of how far errors are from nothing.
fn distances(errors: &[i64]) -> Option<[i64; 2]> {
    let mut sorted: Vec<i64> = errors.iter().map(|error| error.abs()).collect();
    sorted.sort_unstable();
    let at =
        |share: usize| sorted.get((sorted.len() * share / 100).min(sorted.len().checked_sub(1)?));
    Some([*at(50)?, *at(99)?])
}

/// All rows, with the day and the machine.
#[derive(Debug, Serialize)]
pub struct Page {
    /// UTC.
    pub day: String,
    /// Processor, memory, kernel.
    pub machine: String,
    /// Of the software in the testbed.
    pub versions: Vec<String>,
    /// How it was asked for.
    pub command: String,
    /// One per recording and linker.
    pub rows: Vec<Row>,
}

impl Page {
    /// Of these rows.
    pub fn new(command: String, rows: Vec<Row>) -> Page {
        let programs = ["nginx", "haproxy", "redis-server", "node", "java", "tcpdump"];
        let versions = programs.map(|program| format!("{program}: {}", machine::version(program)));
        let (day, machine) = (machine::today(), machine::describe());
        Page { day, machine, versions: versions.to_vec(), command, rows }
    }

    /// As JSON.
    ///
    /// # Panics
    /// Never: rows are plain data.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("rows are plain data") + "\n"
    }

    /// As Markdown, which is the text, too.
    pub fn markdown(&self) -> String {
        let mut page =
            format!("# Scores, {}\n\n`{}`\n\n{}.\n\n", self.day, self.command, self.machine);
        for version in &self.versions {
            let _ = writeln!(page, "- {version}");
        }
        page.push_str(&section("Links", LINKS_ABOUT, &self.links()));
        let left_out = self.left_out();
        if left_out.len() > 2 {
            page.push_str(&section("Evidence left out", LEFT_OUT_ABOUT, &left_out));
        }
        page.push_str(&section("Wrong links, by cause", WRONG_ABOUT, &self.wrong()));
        page.push_str(&section("Oracle", ORACLE_ABOUT, &self.oracles()));
        page.push_str(&section("Confidence", CONFIDENCE_ABOUT, &self.confidence()));
        page.push_str(&section("Paths and times", PATHS_ABOUT, &self.paths()));
        page.push_str(&super::verdict::summary(&self.rows));
        page
    }

    fn links(&self) -> Vec<Vec<String>> {
        let models: std::collections::BTreeSet<&str> =
            self.rows.iter().flat_map(|r| r.links.keys().copied()).collect();
        let models: Vec<&str> = models.into_iter().filter(|model| *model != "client").collect();
        let head = ["run", "requests", "ids", "linker"].map(String::from).into_iter();
        let after = ["precision", "recall", "F1", "whole traces"].map(String::from);
        let mut table =
            vec![head.chain(models.iter().map(|m| m.to_string())).chain(after).collect::<Vec<_>>()];
        for row in self.rows.iter().filter(|row| !row.linker.starts_with(WITHOUT)) {
            let first = [
                row.run.name(),
                row.run.n_requests.to_string(),
                row.ids.to_string(),
                row.linker.clone(),
            ];
            let by_model = models.iter().map(|model| f1(row.links.get(model)));
            let all = row.all_links;
            let last = [
                percent(all.precision()),
                percent(all.recall()),
                f1(Some(&all)),
                percent(row.whole_traces),
            ];
            table.push(first.into_iter().chain(by_model).chain(last).collect());
        }
        table
    }

    /// A row per kind of evidence, a column per recording: what is lost without it.
    fn left_out(&self) -> Vec<Vec<String>> {
        let mut kinds: Vec<&str> = Vec::new();
        let mut runs: Vec<String> = Vec::new();
        for row in self.rows.iter().filter(|row| row.linker.starts_with(WITHOUT)) {
            let (kind, run) = (row.linker.as_str(), row.run.name());
            (!kinds.contains(&kind)).then(|| kinds.push(kind));
            (!runs.contains(&run)).then(|| runs.push(run));
        }
        let cell = |run: &str, linker: &str| {
            let is_asked =
                |row: &&Row| row.ids == "masked" && row.linker == linker && row.run.name() == run;
            let row = self.rows.iter().find(is_asked);
            row.map_or(NONE.to_string(), |row| {
                format!("{}, {}", f1(Some(&row.all_links)), percent(row.whole_traces))
            })
        };
        let line = |linker: &str| {
            let cells = runs.iter().map(|run| cell(run, linker));
            std::iter::once(linker.to_string()).chain(cells).collect::<Vec<_>>()
        };
        let mut table = vec![std::iter::once(String::new()).chain(runs.clone()).collect()];
        table.push(line(super::OURS));
        table.extend(kinds.into_iter().map(line));
        table
    }

    /// Ours, masked: per recording and sort how many, and how many of them said that they were doubtful.
    fn wrong(&self) -> Vec<Vec<String>> {
        let head = [
            "run",
            "issued by",
            "what became of the right one",
            "what spoke first",
            "wrong",
            "said so",
        ];
        let mut table = vec![head.map(String::from).to_vec()];
        for row in self.rows.iter().filter(|row| row.linker == super::OURS && row.ids == "masked") {
            let mut sorts: BTreeMap<_, [u64; 2]> = BTreeMap::new();
            for (Wrong { model, became, spoke, said_so }, n) in &row.wrong {
                let counts = sorts.entry((*model, *became, *spoke)).or_default();
                counts[0] += n;
                counts[1] += if *said_so { *n } else { 0 };
            }
            table.extend(sorts.into_iter().map(|((model, became, spoke), [n, said_so])| {
                let first = [&row.run.name(), model, became.words(), spoke].map(str::to_string);
                first.into_iter().chain([n, said_so].map(|n| n.to_string())).collect()
            }));
        }
        table
    }

    fn oracles(&self) -> Vec<Vec<String>> {
        let head =
            ["run", "services' calls", "oracle: right", "afterpath: right", "oracle: whole traces"];
        let mut table = vec![head.map(String::from).to_vec()];
        for (row, best) in self.rows.iter().filter_map(|row| Some((row, row.oracle?))) {
            let mut ours = Links::default();
            let of_services = row.links.iter().filter(|(model, _)| super::links::is_service(model));
            of_services.for_each(|(_, links)| ours.add(*links));
            let share = |right, all| percent(Share { right, all });
            let oracle = [share(best.right, best.calls), percent(ours.recall())];
            let whole = share(best.whole, best.requests);
            let [right, afterpath] = oracle;
            table.push(vec![row.run.name(), best.calls.to_string(), right, afterpath, whole]);
        }
        table
    }

    fn confidence(&self) -> Vec<Vec<String>> {
        let head = [
            "run",
            "ids",
            "links",
            "right",
            "calibration error",
            "Brier",
            "Brier of a constant",
            "best Brier of others",
            "two candidates or more",
            "right",
            "calibration error",
            "Brier",
            "Brier of a constant",
        ];
        let mut table = vec![head.map(String::from).to_vec()];
        for row in self.rows.iter().filter(|row| row.linker == super::OURS) {
            let errors = |errors: &Option<Errors>| match errors {
                None => vec![NONE.to_string(); 5],
                Some(e) => vec![
                    e.n.to_string(),
                    format!("{:.1} %", 100.0 * e.right),
                    format!("{:.3}", e.expected_calibration_error),
                    format!("{:.4}", e.brier),
                    format!("{:.4}", e.brier_of_a_constant),
                ],
            };
            let first = vec![row.run.name(), row.ids.to_string()];
            let others = self.rows.iter().filter(|other| {
                let is_ours = other.linker == super::OURS || other.linker.starts_with(WITHOUT);
                !is_ours && (other.ids, other.run.name()) == (row.ids, row.run.name())
            });
            let best = others.filter_map(|other| Some(other.calibration.as_ref()?.brier));
            let best = best.min_by(f64::total_cmp);
            let best = vec![best.map_or(NONE.to_string(), |brier| format!("{brier:.4}"))];
            table.push(
                [first, errors(&row.calibration), best, errors(&row.calibration_of_doubtful)]
                    .concat(),
            );
        }
        table
    }

    fn paths(&self) -> Vec<Vec<String>> {
        let head = [
            "run",
            "calls",
            "not recorded",
            "found",
            "not in the truth",
            "paths whole",
            "points shown, in order",
            "duration error",
            "serving error",
            "hold error",
            "clock error",
            "loss location",
            "verdict",
        ];
        let mut table = vec![head.map(String::from).to_vec()];
        for row in self.rows.iter().filter(|row| row.linker == super::OURS && row.ids == "masked") {
            let micro = |error: Option<[i64; 2]>| {
                error.map_or(NONE.to_string(), |[p50, p99]| {
                    format!("{} µs, {} µs", p50 / 1_000, p99 / 1_000)
                })
            };
            let mut cells =
                vec![row.run.name(), row.run.n_calls.to_string(), row.not_recorded.to_string()];
            cells.extend([percent(row.calls_found), row.unexpected.to_string()]);
            cells.extend([row.paths, row.points_shown].map(percent));
            cells.extend(
                [row.duration_error_ns, row.serving_error_ns, row.hold_error_ns].map(micro),
            );
            cells.push(row.clocks.as_ref().map_or(NONE.to_string(), ClockScore::to_string));
            cells.push(row.losses.as_ref().map_or(NONE.to_string(), LossScore::to_string));
            cells.push(row.verdict.as_ref().map_or(NONE.to_string(), VerdictScore::to_string));
            table.push(cells);
        }
        table
    }
}

const LINKS_ABOUT: &str = "F1 of (child, parent) links by the kind of process that issued the child, then over all; whole traces: requests whose \
whole tree is right. `masked`: the planted ids were overwritten before; `visible`: they were used.";
const LEFT_OUT_ABOUT: &str = "Ours with each kind of evidence left out in turn (`--without-evidence`), ids masked: F1 over all links, whole traces.";
const WRONG_ABOUT: &str = "Ours, ids masked: every link that is missing or wrong, by who issued the call, by what became of the right link, and by the first reason that \
is printed for the wrong one. Said so: its confidence was 0.9 at most, or it was not found at all.";
const ORACLE_ABOUT: &str = "The most probable assignment of services' calls to their requests, given every true time and the true distributions of delays, \
but no thread, no socket and no content (`tests/src/oracle.rs`): what times alone could tell at best. Its whole traces count services' calls only.";
const CONFIDENCE_ABOUT: &str = "Expected calibration error in ten bins, and Brier score, beside that of somebody who always says the share that is right, and that of the best of the other linkers on the same recording.";
const PATHS_ABOUT: &str = "Not recorded: calls that pass no point of this recording (by unix sockets, of packets \
alone); they count nowhere on this page. Not in the truth: calls of its protocols without a counterpart there. Errors are distances: p50, p99. Duration: of a call at the process that issued it; serving: from a request read to its answer \
begun; both shown by the recorder minus logged by the services. Hold: a hop's forward time minus what the relay logged. Clock: times of machines whose clock is wrong, held against the known map: inside the stated bound or not, the bound and the error (middle, most). Loss: dropped packets with bytes, SYN or FIN that are said to be lost at the right place; the same of those that only acknowledged (without the kernel's word nothing tells of most); packets said to be lost that were not dropped, or elsewhere. Verdict: whether the worst finding names the right service or hop (of faults that slow nothing, whether a warning does and nothing fails; of healthy runs, whether nothing fails). —: nothing measures it yet, or this recording can't tell.";

fn f1(links: Option<&Links>) -> String {
    links.and_then(|links| links.f1()).map_or(NONE.to_string(), |f1| format!("{f1:.3}"))
}

fn percent(share: Share) -> String {
    if share.all == 0 { NONE.to_string() } else { format!("{:.2} %", share.percent()) }
}
