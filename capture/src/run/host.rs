//! Who records: the machine's name, boot and clocks, as the bundle's first row. Never a namespace: that is no host.

use crate::kernel::clock::BOOTTIME;
use crate::machine::Machine;
use afterpath_formats::bundle::manifest::{DomainEntry, HostEntry};
use afterpath_formats::bundle::names::{host_folder, host_id};
use afterpath_formats::table::hosts::HostRow;
use std::fs;

/// The host of this machine, and its clock domains.
pub(super) fn entry() -> (HostEntry, Vec<DomainEntry>) {
    let name = name();
    // One running kernel is one host: another boot is another one.
    let id = host_id(text("/proc/sys/kernel/random/boot_id").as_bytes());
    let domain = |clock: &str| DomainEntry { name: format!("{name} {clock}"), clock: clock.into() };
    let domains = vec![domain("realtime"), domain("boottime")];
    let host = HostEntry {
        folder: host_folder(&name, &id),
        id,
        name,
        captures: Vec::new(),
        boottime_domain: Some(BOOTTIME),
    };
    (host, domains)
}

/// Its row; `probes` says what became of each.
pub(super) fn row(machine: &Machine, probes: &serde_json::Value) -> HostRow {
    let known = |text: String| (!text.is_empty()).then_some(text);
    let version = text("/proc/sys/kernel/version");
    HostRow {
        name: name(),
        origin: "recorded".to_string(),
        boot_id: known(text("/proc/sys/kernel/random/boot_id")),
        kernel: known(format!("{} {version}", machine.release)),
        cpus: std::thread::available_parallelism().ok().map(|n| n.get() as u32),
        clock_source: known(text(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource",
        )),
        probes: Some(probes.to_string()),
    }
}

/// The machine's name.
pub(super) fn name() -> String {
    let name = text("/proc/sys/kernel/hostname");
    if name.is_empty() { "host".to_string() } else { name }
}

/// Another process that records on this machine, as far as it can be seen from here.
pub(super) fn other_recorder() -> Option<u32> {
    let own = std::process::id();
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| {
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|byte| *byte == 0);
        let is_recorder = arguments.next().is_some_and(|name| name.ends_with(b"afterpath-record"));
        *id != own && is_recorder && arguments.next() == Some(b"run")
    })
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_string()
}
