//! What parsing costs: each protocol's own conversations, small messages and such of 1 KiB, through its parser alone, one thread, stretches
//! as the analyzer makes them; tshark over the same bytes as a capture. Run: `cargo run --release -p afterpath-tests --bin bench-parsers`.
//! It never tunes a round, drops one, or hides a peer that wins.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

mod capture;
mod talk;

use afterpath::protocol::{Carry, Half, IdFields, PROTOCOLS, Piece, Protocol, Stretch, Transport};
use afterpath_tests::tool;
use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;
use talk::{Subject, Talk};

/// Bytes of a stretch.
const STRETCH: usize = 16 << 20;
/// Exchanges that tshark is given.
const FOR_TSHARK: usize = 20_000;

/// Measures the parsers.
#[derive(Parser)]
struct Arguments {
    /// How often each is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes of each conversation, about.
    #[arg(long, default_value_t = 64 << 20)]
    bytes: usize,
    /// Writes the page to this file, too.
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// What one measurement found.
struct Rates {
    messages_s: f64,
    bytes_s: f64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir()?;
    let mut page = String::from(
        "| protocol | messages | bytes each | M messages/s | each round | MB/s | tshark, M messages/s | ratio |\n|---|---|---|---|---|---|---|---|\n",
    );
    for subject in talk::SUBJECTS {
        for size in [0, 1024] {
            let talk = subject.talk(size, |bytes, _| bytes < arguments.bytes);
            let mut rounds: Vec<Rates> =
                (0..arguments.rounds).map(|_| measure(subject, &talk)).collect();
            let each: Vec<String> =
                rounds.iter().map(|rates| format!("{:.1}", rates.messages_s / 1e6)).collect();
            rounds.sort_by(|a, b| a.messages_s.total_cmp(&b.messages_s));
            let median = &rounds[rounds.len() / 2];
            let theirs = tshark(subject, size, folder.path())?;
            let line = format!(
                "| {} | {} | {:.0} | {:.1} | {} | {:.0} | {} | {} |\n",
                subject.name,
                if size == 0 { "small" } else { "1 KiB" },
                median.bytes_s / median.messages_s,
                median.messages_s / 1e6,
                each.join(", "),
                median.bytes_s / 1e6,
                theirs.map_or("not installed".to_string(), |rate| format!("{:.3}", rate / 1e6)),
                theirs.map_or(String::new(), |rate| format!("{:.0} ×", median.messages_s / rate)),
            );
            print!("{line}");
            page.push_str(&line);
        }
    }
    if let Some(path) = arguments.write {
        let words = "What the columns say, and how to run it again: tests/benches/README.md, \"What parsing costs\".\n\n";
        std::fs::write(path, format!("{words}{page}"))?;
    }
    Ok(())
}

/// One conversation through its parser.
fn measure(subject: &Subject, talk: &Talk) -> Rates {
    let protocol = PROTOCOLS.iter().find(|p| p.name() == subject.name).expect("one of ours");
    let begun = Instant::now();
    let n_messages = parse(*protocol, subject, talk);
    let seconds = begun.elapsed().as_secs_f64();
    assert!(n_messages >= 2 * talk.n_exchanges, "{}: {n_messages} messages", subject.name);
    let bytes = talk.client.len() + talk.server.len();
    Rates { messages_s: n_messages as f64 / seconds, bytes_s: bytes as f64 / seconds }
}

fn parse(protocol: &dyn Protocol, subject: &Subject, talk: &Talk) -> usize {
    let (mut consumed, mut carry, mut n_messages) = ([0_u64; 2], Carry::default(), 0);
    for ends in &talk.cuts(STRETCH) {
        let is_last = *ends == [talk.client.len(), talk.server.len()];
        let from = consumed.map(|at| at as usize);
        let pieces = [(&talk.client, 0), (&talk.server, 1)].map(|(bytes, side)| {
            let bytes = &bytes[from[side]..ends[side]];
            [Piece { offset: consumed[side], bytes, wire_length: bytes.len() as u32 }]
        });
        let half = |side: usize| Half {
            start: consumed[side],
            end: ends[side] as u64,
            pieces: if pieces[side][0].bytes.is_empty() { &[] } else { &pieces[side] },
            last: is_last,
        };
        let stretch = Stretch {
            transport: Transport::Tcp,
            client_port: 40_000,
            server_port: subject.port,
            client: half(0),
            server: half(1),
            from_start: subject.from_start,
            id_fields: &IdFields::BUILT_IN,
        };
        let parsed = protocol.parse(&stretch, std::mem::take(&mut carry));
        n_messages += parsed.messages.len();
        (consumed, carry) = ([parsed.client_consumed, parsed.server_consumed], parsed.carry);
    }
    n_messages
}

/// tshark's messages per second, its start-up taken off; `None` where there is none, or it does not know the protocol.
fn tshark(subject: &Subject, size: usize, folder: &std::path::Path) -> Result<Option<f64>> {
    if subject.tshark.is_empty() || tool::find("tshark").is_none() {
        return Ok(None);
    }
    let time = |n_exchanges: usize| -> Result<f64> {
        let talk = subject.talk(size, |_, n| n < n_exchanges);
        let path = folder.join(format!("{}-{n_exchanges}.pcap", subject.name));
        capture::write(&path, subject.port, &talk).context("a capture")?;
        let begun = Instant::now();
        let decode = format!("tcp.port=={},{}", subject.port, subject.tshark);
        let done = Command::new("tshark")
            .args(["-n", "-r"])
            .arg(&path)
            .args(["-d", &decode, "-Y", subject.filter, "-T", "fields", "-e", "frame.number"])
            .output()?;
        anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Ok(begun.elapsed().as_secs_f64())
    };
    let start_up = time(1)?;
    Ok(Some(2.0 * FOR_TSHARK as f64 / (time(FOR_TSHARK)? - start_up).max(1e-3)))
}
