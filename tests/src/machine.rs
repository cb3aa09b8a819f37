//! The machine a result was taken on, and the day: what a figure means nothing without. It never names the host.

use crate::tool;
use std::process::Command;

/// Processor, count, memory, kernel.
pub fn describe() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or(String::from("?"), |(_, value)| value.trim().to_string())
    };
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    let n = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    format!(
        "{processor}, {n} processors, {memory} of memory, Linux {}, load {load} at the end",
        kernel.trim()
    )
}

/// The first line of a peer's `--version` that holds a digit.
pub fn version(program: &str) -> String {
    let argument = match program {
        "tcptrace" => "-version",
        "nginx" => "-v",
        _ => "--version",
    };
    let output = match tool::find(program).map(|path| Command::new(path).arg(argument).output()) {
        Some(Ok(output)) => output,
        _ => return "not installed".to_string(),
    };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()));
    line.unwrap_or("version unknown").trim().trim_end_matches('.').to_string()
}

/// `2026-11-22`, in UTC.
pub fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = since.map_or(0, |duration| duration.as_secs() / 86_400) as i64;
    // Days to a date (Hinnant, "chrono-compatible low-level date algorithms").
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
