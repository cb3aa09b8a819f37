//! Observation points, the processes that some of them are, and the ends of calls. Plain data; never computes anything but what a
//! field's name promises.

use serde::{Deserialize, Serialize};

/// Index of an observation point in [`crate::analysis::Analysis::points`].
pub type PointIndex = u32;

/// A process, as the recorder named it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Its name (comm).
    pub name: String,
    /// Its number in the initial PID namespace.
    pub pid: u32,
    /// When it appeared, or the recording's start, BOOTTIME: numbers are taken again.
    pub since_ns: i64,
    /// Its container: the name where known, else the beginning of its id.
    pub container: Option<String>,
    /// `namespace/pod`.
    pub pod: Option<String>,
}

impl Process {
    /// `python3[1234]`; `frontend` for a service that only its tracer told of: no process has the number 0.
    pub fn label(&self) -> String {
        match self.pid {
            0 => self.name.clone(),
            pid => format!("{}[{pid}]", self.name),
        }
    }
}

/// An observation point: an interface in a namespace of a host, or a process with its sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Host's name.
    pub host: String,
    /// Network namespace, empty when the capture named none.
    pub netns: String,
    /// Interface name; empty for a process.
    pub interface: String,
    /// The process whose sockets these are.
    pub process: Option<Process>,
    /// Clock domain: instants of two points compare only when this is equal.
    pub domain: u32,
}

impl Point {
    /// The namespace, or the host where none was named.
    pub fn place(&self) -> &str {
        if self.netns.is_empty() { &self.host } else { &self.netns }
    }

    /// Whether both stand in one namespace of one host.
    pub fn is_beside(&self, other: &Point) -> bool {
        (&self.host, &self.netns) == (&other.host, &other.netns)
    }

    /// `podA/eth0`, `gw7/eth0`, `host/if3`, `podA/python3[1234]`: the shortest name that a reader recognises.
    pub fn label(&self) -> String {
        self.named(Process::label)
    }

    /// The same without a process's number: one name for all processes of one program in one place, and for those of another recording.
    pub fn role(&self) -> String {
        self.named(|process| process.name.clone())
    }

    fn named(&self, process_name: impl Fn(&Process) -> String) -> String {
        let place = self.place();
        if let Some(process) = &self.process {
            let pod = process.pod.as_ref().map(|pod| pod.rsplit('/').next().unwrap_or(pod));
            let place = pod.or(process.container.as_deref()).unwrap_or(place);
            if place == process.name && process.pid == 0 {
                return process_name(process);
            }
            return format!("{place}/{}", process_name(process));
        }
        // A bare capture is a host of one interface, both named by the file.
        if self.interface.is_empty() || self.interface == place {
            place.to_string()
        } else {
            format!("{place}/{}", self.interface)
        }
    }
}

/// One end of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Host it was located on, empty when no point near this end was recorded.
    pub host: String,
    /// Namespace it was located in, may be empty.
    pub netns: String,
    /// Address as seen at the point nearest to this end.
    pub address: std::net::IpAddr,
    /// Port as seen there.
    pub port: u16,
    /// The process, where a recorder saw its socket.
    pub process: Option<Process>,
}

impl Endpoint {
    /// The namespace that it was located in, or the host; empty where it was not located.
    pub fn place(&self) -> &str {
        if self.netns.is_empty() { &self.host } else { &self.netns }
    }
}
