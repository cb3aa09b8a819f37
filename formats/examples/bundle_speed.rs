//! How fast captures become bundles and bundles packets: `bundle_speed N_THREADS CAPTURE BUNDLE [import]`. Never checks anything.
#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use afterpath_formats::bundle::{Bundles, verify};
use afterpath_formats::export::export_pcapng;
use afterpath_formats::import::{HostPlan, ImportPlan, import};
use std::path::{Path, PathBuf};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, n_threads, capture, bundle, only @ ..] = &arguments[..] else {
        return Err("usage: bundle_speed N_THREADS CAPTURE BUNDLE [import]".into());
    };
    rayon::ThreadPoolBuilder::new().num_threads(n_threads.parse()?).build_global()?;
    let output = PathBuf::from(bundle);
    let plan = ImportPlan {
        hosts: vec![HostPlan::bare(Path::new(capture))],
        output: output.clone(),
        force: true,
        ..ImportPlan::default()
    };
    let (begin, before) = (Instant::now(), cpu_seconds());
    let summary = import(&plan, &|_| ())?;
    let rate = |n: u64, begin: Instant| n as f64 / 1e6 / begin.elapsed().as_secs_f64();
    println!(
        "import   {:8.2} M packets/s {:8.0} MB/s  ({} packets, {:.2} CPU s, {} runs on disk, {})",
        rate(summary.n_packets, begin),
        rate(summary.n_bytes, begin),
        summary.n_packets,
        cpu_seconds() - before,
        summary.n_spilled_runs,
        peak()
    );
    if !only.is_empty() {
        return Ok(());
    }
    let begin = Instant::now();
    let bundles = Bundles::open(std::slice::from_ref(&output))?;
    println!("open     {:8.2} ms", begin.elapsed().as_secs_f64() * 1e3);
    let file = &bundles.packet_files[0];
    let begin = Instant::now();
    let cuts = file.flow_cuts(1 << 20)?;
    println!("cuts     {:8.2} ms  ({} ranges)", begin.elapsed().as_secs_f64() * 1e3, cuts.len());
    for (name, with_frames) in [("headers", false), ("packets", true)] {
        let (begin, before) = (Instant::now(), cpu_seconds());
        let (mut n, mut sum) = (0u64, 0u64);
        for rows in &cuts {
            let rows = rows.clone();
            let mut reader = if with_frames { file.read(rows) } else { file.read_headers(rows) };
            while let Some(batch) = reader.next() {
                let batch = batch?;
                for row in 0..batch.len() {
                    let packet = batch.packet(row);
                    n += 1;
                    sum += u64::from(packet.headers.payload_length) + packet.payload.len() as u64;
                }
            }
        }
        println!(
            "{name}  {:8.2} M packets/s, one thread  (sum {sum}, {:.2} CPU s, {})",
            rate(n, begin),
            cpu_seconds() - before,
            peak()
        );
    }
    let begin = Instant::now();
    let found = verify(&output)?;
    println!("verify   {:8.0} MB/s  (whole: {})", rate(found.n_bytes, begin), found.is_whole());
    let begin = Instant::now();
    let exported = export_pcapng(&bundles, &[0], std::io::sink(), Path::new("nowhere"))?;
    println!("export   {:8.2} M packets/s  ({})", rate(exported.n_packets, begin), peak());
    Ok(())
}

/// Processor time of this process so far, where the system says it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = |n| stat.rsplit(") ").next()?.split(' ').nth(n)?.parse::<f64>().ok();
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// The process's highest resident memory, where the system says it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("peak unknown".to_string(), |line| format!("peak {}", line.trim()))
}
