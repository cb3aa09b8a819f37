//! The work itself, done by whoever has the privileges. Never on a path of the asker: a namespace it listed itself, a process by its number.

use super::cost::used;
use super::errand::Errand;
use super::functions::Functions;
use super::go::GoPrograms;
use crate::kernel::{
    Namespace, PacketRing, Translation, links, namespaces, namespaces_of, translations, within,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The list of namespaces is read again after this time.
const FRESH: Duration = Duration::from_millis(200);

/// What is known of the machine meanwhile.
#[derive(Default)]
pub(super) struct Work {
    namespaces: BTreeMap<u32, Namespace>,
    listed: Option<Instant>,
    functions: Functions,
    go: GoPrograms,
}

/// What one namespace counts.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// `/proc/net/netstat`, `/proc/net/snmp`, `/proc/net/dev`.
    pub(crate) netstat: String,
    pub(crate) snmp: String,
    pub(crate) interfaces: String,
    /// Connections that are tracked; `None` where none can be.
    pub(crate) n_tracked: Option<i64>,
    /// Those of them that are translated; `None` where they can't be read, or were not asked for.
    pub(crate) translations: Option<Vec<Translation>>,
}

impl Work {
    /// Does one errand.
    pub(super) fn run(&mut self, errand: &Errand) -> io::Result<(Value, Vec<OwnedFd>)> {
        let mut descriptors = Vec::new();
        let value = match *errand {
            Errand::Namespaces => {
                if self.listed.is_none_or(|listed| listed.elapsed() > FRESH) {
                    self.namespaces = namespaces();
                    self.listed = Some(Instant::now());
                }
                serde_json::to_value(&self.namespaces)?
            }
            Errand::NamespacesOf { ref processes, ref cgroups } => {
                serde_json::to_value(namespaces_of(processes, cgroups))?
            }
            Errand::PacketSocket { namespace } => {
                descriptors.push(self.inside(namespace, || Ok(PacketRing::socket()?))?);
                Value::Null
            }
            Errand::Links { namespace } => serde_json::to_value(self.inside(namespace, links)?)?,
            Errand::Counted { namespace, connections } => {
                serde_json::to_value(self.inside(namespace, || Ok(count(connections)))?)?
            }
            Errand::Functions => {
                let (found, n_refused) = self.functions.found();
                let (functions, events): (Vec<_>, Vec<_>) = found.into_iter().unzip();
                descriptors = events;
                json!((functions, n_refused))
            }
            Errand::GoPrograms => serde_json::to_value(self.go.found())?,
            Errand::GoProgram { pid } => serde_json::to_value(self.go.look(pid))?,
            Errand::Executable { pid } => {
                let path = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                json!(path.to_string_lossy())
            }
            Errand::Cost => serde_json::to_value(used()?)?,
        };
        Ok((value, descriptors))
    }

    fn inside<T: Send>(
        &self,
        namespace: u32,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> io::Result<T> {
        let known = self.namespaces.get(&namespace);
        let path = &known.ok_or(io::ErrorKind::NotFound)?.path;
        within(namespace, path, work)
    }
}

/// In the namespace of the calling thread.
fn count(connections: bool) -> Counted {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let n_tracked = text("/proc/sys/net/netfilter/nf_conntrack_count").trim().parse().ok();
    Counted {
        netstat: text("/proc/thread-self/net/netstat"),
        snmp: text("/proc/thread-self/net/snmp"),
        interfaces: text("/proc/thread-self/net/dev"),
        n_tracked,
        // Where nothing is tracked, asking would load the module.
        translations: n_tracked
            .filter(|n: &i64| *n > 0 && connections)
            .and_then(|_| translations().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_that_was_not_listed_is_not_entered() {
        let mut work = Work::default();
        let error = work.run(&Errand::Links { namespace: 1 }).expect_err("it was never listed");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        work.run(&Errand::Namespaces).expect("anyone may look");
        let (found, _) = work.run(&Errand::Namespaces).expect("anyone may look");
        let found: BTreeMap<u32, Namespace> = serde_json::from_value(found).expect("namespaces");
        assert!(!found.is_empty());
    }
}
