//! What the kernel counts, once a second: per namespace, interface, processor and cgroup; and which connections it translates. Never
//! a rate, never a conclusion.

mod read;

use super::Probe;
use super::needs::Needs;
use crate::error::Result;
use crate::kernel::{Namespace, Translation, clock, namespaces, translations, within};
use crate::machine::Kernel;
use crate::run::{Rows, Settings, Source};
use afterpath_formats::table::counters::{self as counters_table, CounterRow};
use afterpath_formats::table::losses::LossRow;
use afterpath_formats::table::nat::{self, NatRow};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

/// Pressure stall information.
const PRESSURE: Kernel = Kernel::new(4, 20);
/// The time that reading connections takes is at most this share of all.
const SHARE: i64 = 20;

/// Counters once a second.
pub(super) const PROBE: Probe = Probe {
    name: "counters",
    about: "once a second: TCP, interface and queue counters, pressure, throttling; translated connections",
    on_by_default: true,
    kernel_floor: PRESSURE,
    check: |machine| {
        Needs::of(machine, PRESSURE, "pressure stall information")
            .feature(machine.netstat, "/proc/net/netstat", "CONFIG_PROC_FS, CONFIG_INET")
            .done()
    },
    start: Some(start),
};

struct Running {
    wanted: Vec<u32>,
    /// Values as last written.
    known: HashMap<(String, String), i64>,
    connections: BTreeMap<u32, Connections>,
}

/// Translated connections of a namespace.
#[derive(Default)]
struct Connections {
    known: BTreeMap<Translation, NatRow>,
    told: Vec<NatRow>,
    /// Not to be read before.
    next_ns: i64,
}

/// What one namespace says.
struct Told {
    nstat: String,
    snmp: String,
    interfaces: String,
    n_tracked: Option<i64>,
    translations: Option<Vec<Translation>>,
}

fn start(settings: &Settings) -> Result<Box<dyn Source>> {
    Ok(Box::new(Running {
        wanted: settings.filter.namespaces.clone(),
        known: HashMap::new(),
        connections: BTreeMap::new(),
    }))
}

impl Running {
    /// Keeps the values that changed.
    fn changed(
        &mut self,
        now_ns: i64,
        read: impl FnOnce(&mut read::Take<'_>),
        rows: &mut Vec<CounterRow>,
    ) {
        read(&mut |name, subject, value| {
            let key = (name.to_string(), subject.to_string());
            // What never counted anything is left out until it does.
            if self.known.get(&key).copied().unwrap_or(0) != value {
                rows.push(CounterRow {
                    time_ns: now_ns,
                    name: key.0.clone(),
                    subject: (!key.1.is_empty()).then(|| key.1.clone()),
                    value,
                });
                self.known.insert(key, value);
            }
        });
    }

    fn namespace(
        &mut self,
        inode: u32,
        namespace: &Namespace,
        now_ns: i64,
        rows: &mut Vec<CounterRow>,
    ) {
        let reads_connections = self.connections.entry(inode).or_default().next_ns <= now_ns;
        let Ok(told) = within(&namespace.path, || Ok(look(reads_connections))) else { return };
        let name = if namespace.is_initial { "" } else { &namespace.name };
        self.changed(now_ns, |take| read::nstat(&told.nstat, name, take), rows);
        self.changed(now_ns, |take| read::nstat(&told.snmp, name, take), rows);
        self.changed(now_ns, |take| read::interfaces(&told.interfaces, name, take), rows);
        if let Some(n_tracked) = told.n_tracked {
            self.changed(now_ns, |take| take("conntrack.entries", name, n_tracked), rows);
        }
        if let Some(translations) = told.translations {
            let took_ns = clock::boottime_ns() - now_ns;
            let connections = self.connections.entry(inode).or_default();
            connections.next_ns = now_ns + took_ns.saturating_mul(SHARE);
            connections.learn(inode, translations, now_ns);
        }
    }
}

/// In the namespace of the calling thread.
fn look(reads_connections: bool) -> Told {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let n_tracked = text("/proc/sys/net/netfilter/nf_conntrack_count").trim().parse().ok();
    Told {
        nstat: text("/proc/thread-self/net/netstat"),
        snmp: text("/proc/thread-self/net/snmp"),
        interfaces: text("/proc/thread-self/net/dev"),
        n_tracked,
        // Where nothing is tracked, asking would load the module.
        translations: n_tracked
            .filter(|n: &i64| *n > 0 && reads_connections)
            .and_then(|_| translations().ok()),
    }
}

impl Connections {
    fn learn(&mut self, inode: u32, now: Vec<Translation>, now_ns: i64) {
        let mut gone = std::mem::take(&mut self.known);
        for translation in now {
            let row = gone.remove(&translation).unwrap_or_else(|| {
                let row = NatRow {
                    valid_from_ns: now_ns,
                    valid_to_ns: None,
                    netns: inode,
                    protocol: translation.protocol,
                    original: translation.original,
                    reply: translation.reply,
                };
                self.told.push(row);
                row
            });
            self.known.insert(translation, row);
        }
        self.told.extend(gone.into_values().map(|row| NatRow { valid_to_ns: Some(now_ns), ..row }));
    }
}

impl Source for Running {
    fn drain(&mut self, _rows: &mut dyn Rows) {}

    fn each_second(&mut self, now_ns: i64, rows: &mut dyn Rows) {
        let root = Path::new("/");
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut changed = Vec::new();
        let mut all = namespaces();
        all.retain(|inode, _| self.wanted.is_empty() || self.wanted.contains(inode));
        for (inode, namespace) in &all {
            self.namespace(*inode, namespace, now_ns, &mut changed);
        }
        self.connections.retain(|inode, _| all.contains_key(inode));
        let (softnet, stat) = (text("/proc/net/softnet_stat"), text("/proc/stat"));
        self.changed(now_ns, |take| read::softnet(&softnet, take), &mut changed);
        self.changed(now_ns, |take| read::processors(&stat, take), &mut changed);
        self.changed(now_ns, |take| read::pressure(root, take), &mut changed);
        self.changed(now_ns, |take| read::cgroups(root, take), &mut changed);
        if !changed.is_empty() {
            rows.append(&counters_table::TABLE, counters_table::batch(&changed));
        }
        let told: Vec<NatRow> =
            self.connections.values_mut().flat_map(|c| std::mem::take(&mut c.told)).collect();
        if !told.is_empty() {
            rows.append(&nat::TABLE, nat::batch(&told));
        }
    }

    fn losses(&mut self) -> Vec<LossRow> {
        Vec::new()
    }

    fn stop(&mut self) {}
}
