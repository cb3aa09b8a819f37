//! What the kernel counts, once a second: per namespace, interface, processor and cgroup; and which connections it translates. Never
//! a rate, never a conclusion.

mod read;

use super::Probe;
use super::needs::Needs;
use crate::broker::Broker;
use crate::error::Result;
use crate::kernel::{Namespace, Translation, clock};
use crate::machine::Kernel;
use crate::settings::Settings;
use crate::source::{Rows, Source};
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
    broker: Broker,
    wanted: Vec<u32>,
    /// Values as last written.
    known: HashMap<(String, String), i64>,
    connections: BTreeMap<u32, Connections>,
    /// Looks at a namespace's connections that failed.
    n_unread: i64,
}

/// Translated connections of a namespace.
#[derive(Default)]
struct Connections {
    known: BTreeMap<Translation, NatRow>,
    told: Vec<NatRow>,
    /// Not to be read before.
    next_ns: i64,
}

fn start(settings: &Settings, broker: &Broker) -> Result<Box<dyn Source>> {
    Ok(Box::new(Running {
        broker: broker.clone(),
        wanted: settings.filter.namespaces.clone(),
        known: HashMap::new(),
        connections: BTreeMap::new(),
        n_unread: 0,
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
        let Ok(counted) = self.broker.counted(inode, reads_connections) else { return };
        let name = if namespace.is_initial { "" } else { &namespace.name };
        self.changed(now_ns, |take| read::nstat(&counted.netstat, name, take), rows);
        self.changed(now_ns, |take| read::nstat(&counted.snmp, name, take), rows);
        self.changed(now_ns, |take| read::interfaces(&counted.interfaces, name, take), rows);
        if let Some(n_tracked) = counted.n_tracked {
            self.changed(now_ns, |take| take("conntrack.entries", name, n_tracked), rows);
        }
        // Of connections that are there, none could be read.
        self.n_unread += i64::from(
            reads_connections
                && counted.n_tracked.is_some_and(|n| n > 0)
                && counted.translations.is_none(),
        );
        if let Some(translations) = counted.translations {
            let took_ns = clock::boottime_ns() - now_ns;
            let connections = self.connections.entry(inode).or_default();
            connections.next_ns = now_ns + took_ns.saturating_mul(SHARE);
            connections.learn(inode, translations, now_ns);
        }
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
        let mut all = self.broker.namespaces().unwrap_or_default();
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
        let row = |count| LossRow {
            source: PROBE.name.to_string(),
            cause: "connections-unread".to_string(),
            count,
            ..LossRow::default()
        };
        let n_unread = std::mem::take(&mut self.n_unread);
        (n_unread > 0).then(|| row(n_unread)).into_iter().collect()
    }

    fn stop(&mut self) {}
}
