//! The bench's page: the machine, the capture, one row per subject, ratios, raw figures. It never leaves a row out.

use crate::measure::Cost;
use crate::subjects::Question;
use crate::{Arguments, Measured};
use afterpath_tests::generate::{NO_LIMIT, Totals};
use afterpath_tests::machine;
use std::fmt::Write;

/// One capture's part, in Markdown that is good to read as it is.
pub(crate) fn capture(
    measured: &[Measured],
    totals: &Totals,
    size_bytes: u64,
    snap_length: u32,
) -> String {
    let mut page = captured(totals, size_bytes, snap_length);
    page.push_str(
        "| what | threads | packets/s/core | packets/s | CPU s | wall s | peak MiB |\n\
         |---|---|---|---|---|---|---|\n",
    );
    measured.iter().for_each(|each| row(&mut page, each, totals.n_packets));
    page.push_str("\nMedians over the rounds; CPU is user + system of the whole process, start-up included.\n");
    page.push_str("\nRatios:\n\n");
    ratios(&mut page, measured);
    page.push_str(
        "\nRaw figures:\n\n| what | threads | round | user s | system s | wall s | peak MiB |\n",
    );
    page.push_str("|---|---|---|---|---|---|---|\n");
    for each in measured {
        for (round, cost) in (1..).zip(&each.costs) {
            let Cost { user_s, system_s, wall_s, peak_mib } = cost;
            let (name, threads) = (&each.subject.name, threads(each));
            line(
                &mut page,
                &format!(
                    "| {name} | {threads} | {round} | {user_s:.3} | {system_s:.3} | {wall_s:.3} | {peak_mib:.0} |"
                ),
            );
        }
    }
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

/// What is the same for all captures.
pub(crate) fn heading(arguments: &Arguments) -> String {
    let mut page = format!("# HTTP capture bench, {}\n\n", machine::today());
    line(&mut page, &format!("Machine: {}.", machine::describe()));
    for peer in ["tshark", "tcptrace", "tcpdump"] {
        line(&mut page, &format!("{peer}: {}.", machine::version(peer)));
    }
    line(&mut page, &format!("\nSeed {}; {} rounds, in turn.", arguments.seed, arguments.rounds));
    page
}

fn captured(totals: &Totals, size_bytes: u64, snap_length: u32) -> String {
    let Totals { n_packets, n_connections, n_requests, n_retransmissions } = totals;
    let kept = match snap_length {
        NO_LIMIT => "Whole packets".to_string(),
        n => format!("{n} bytes of each packet"),
    };
    format!(
        "\n## {kept}\n\n{n_packets} packets ({:.1} MB, {:.0} bytes each), {n_connections} connections, {n_requests} \
         requests, {n_retransmissions} retransmissions.\n\n",
        size_bytes as f64 / 1e6,
        size_bytes as f64 / *n_packets as f64,
    )
}

fn threads(measured: &Measured) -> String {
    measured.subject.threads.map_or("–".to_string(), |n| n.to_string())
}

fn row(page: &mut String, each: &Measured, n_packets: u64) {
    let name = &each.subject.name;
    if let Some(missing) = each.subject.missing() {
        let program = missing.rsplit('/').next().unwrap_or(missing);
        line(page, &format!("| {name} | {} | {program}: not installed ||||| ", threads(each)));
        return;
    }
    let (cpu, wall) = (median(each, Cost::cpu_s), median(each, |cost| cost.wall_s));
    let packets = n_packets as f64;
    line(
        page,
        &format!(
            "| {name} | {} | {} | {} | {cpu:.3} | {wall:.3} | {:.0} |",
            threads(each),
            thousands(packets / cpu),
            thousands(packets / wall),
            median(each, |cost| cost.peak_mib),
        ),
    );
}

fn thousands(rate: f64) -> String {
    format!("{:.0} k", rate / 1e3)
}

/// Of the costs' `figure`; of an even number, the upper middle.
fn median(each: &Measured, figure: impl Fn(&Cost) -> f64) -> f64 {
    let mut figures: Vec<f64> = each.costs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn ratios(page: &mut String, measured: &[Measured]) {
    let find = |name: &str, threads: u32| {
        measured.iter().find(|m| {
            m.subject.name == name && m.subject.threads == Some(threads) && !m.costs.is_empty()
        })
    };
    for build in measured.iter().filter(|m| !m.costs.is_empty()) {
        let (subject, base) = (&build.subject, build.subject.stands_beside.as_deref());
        let threads = subject.threads.unwrap_or_default();
        let Some(base) = base.and_then(|base| find(base, threads)) else { continue };
        let ratio = median(base, Cost::cpu_s) / median(build, Cost::cpu_s);
        let base = &base.subject.name;
        let text =
            format!("- {base}: {ratio:.2} × the CPU of {} (threads: {threads})", subject.name);
        line(page, &text);
    }
    for name in ["afterpath import", "afterpath analyze"] {
        let (Some(one), Some(two)) = (find(name, 1), find(name, 2)) else {
            line(page, &format!("- {name}: — (not built)"));
            continue;
        };
        let speed_up = median(one, |c| c.wall_s) / median(two, |c| c.wall_s);
        line(page, &format!("- {name}: {speed_up:.2} × on two threads (wall)"));
    }
    let ours: Option<f64> = find("afterpath import", 1)
        .zip(find("afterpath analyze", 1))
        .map(|(import, analyze)| median(import, Cost::cpu_s) + median(analyze, Cost::cpu_s));
    for peer in measured.iter().filter(|m| !m.subject.ours && !m.costs.is_empty()) {
        let name = &peer.subject.name;
        let theirs = median(peer, Cost::cpu_s);
        let ratio = ours.map_or("—".to_string(), |ours| format!("{:.2}", theirs / ours));
        let question = match peer.subject.question {
            Question::Transactions => "L7 transactions",
            Question::Flows => "flows only",
            Question::Reading => "reading only",
        };
        let mut text = String::new();
        let _ = write!(
            text,
            "- {name} ({question}): {ratio} × the CPU of import + analyze at one thread"
        );
        line(page, &text);
    }
}
