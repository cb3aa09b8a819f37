//! One thread that writes 100 bytes on loopback and reads them again, and one that asks for its parent: with and without a recorder, and
//! what the kernel counted of the programs meanwhile. Never measures anything but this process.

use crate::median;
use crate::recorder::Recorder;
use anyhow::Result;
use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

const N: u32 = 200_000;
const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Nanoseconds of a write and a read together, and of getppid().
struct Costs {
    pair_ns: f64,
    other_ns: f64,
}

fn measure() -> Result<Costs> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut server, _) = listener.accept()?;
    client.set_nodelay(true)?;
    let mut buffer = [0; 256];
    let begin = Instant::now();
    for _ in 0..N {
        client.write_all(&[7; 100])?;
        server.read_exact(&mut buffer[..100])?;
    }
    let pair_ns = begin.elapsed().as_nanos() as f64 / f64::from(N);
    let begin = Instant::now();
    for _ in 0..N {
        std::hint::black_box(std::os::unix::process::parent_id());
    }
    Ok(Costs { pair_ns, other_ns: begin.elapsed().as_nanos() as f64 / f64::from(N) })
}

/// The figures as Markdown.
pub(crate) fn page(rounds: usize) -> Result<String> {
    let own = ["--probes", "sockets"].map(str::to_string);
    let (mut without, mut with, mut programs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        without.push(measure()?);
        let recorder = Recorder::start(&own)?;
        with.push(measure()?);
        recorder.stop()?;
        // The statistics cost time of their own: a run apart.
        fs::write(STATISTICS, "1")?;
        let counted = counted(&own);
        fs::write(STATISTICS, "0")?;
        programs.push(counted?);
    }
    let event_ns = |i: usize| (with[i].pair_ns - without[i].pair_ns) / 2.0;
    let other_ns = |i: usize| with[i].other_ns - without[i].other_ns;
    let all = |of: &dyn Fn(usize) -> f64| (0..rounds).map(of).collect::<Vec<f64>>();
    let mut page = String::from("## A socket event\n| | median | each round |\n|---|---|---|\n");
    let mut row = |name: &str, values: Vec<f64>| {
        let shown: Vec<String> = values.iter().map(|value| format!("{value:.0}")).collect();
        writeln!(page, "| {name} | {:.0} ns | {} |", median(values), shown.join(", "))
    };
    row("eBPF per event, entry and return (kernel's statistics)", programs)?;
    row("added to a write or a read of 100 bytes on loopback", all(&event_ns))?;
    row("write and read together without a recorder", all(&|i| without[i].pair_ns))?;
    row("write and read together, recorded", all(&|i| with[i].pair_ns))?;
    row("added to a call of no interest (getppid)", all(&other_ns))?;
    Ok(page)
}

/// Nanoseconds of eBPF for each event of the loop.
fn counted(arguments: &[String]) -> Result<f64> {
    let recorder = Recorder::start(arguments)?;
    let before = recorder.programs()?;
    measure()?;
    let after = recorder.programs()?;
    recorder.stop()?;
    // Entry and return are a run each.
    Ok((after.run_ns - before.run_ns) as f64 / ((after.n_runs - before.n_runs) as f64 / 2.0))
}
