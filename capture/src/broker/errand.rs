//! What may be asked of the broker, and how it answers. Names nothing but numbers: no path, no bytes to write.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;

/// One piece of privileged work.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Errand {
    /// → namespaces by inode number.
    Namespaces,
    /// → the inode numbers of the namespaces that these processes, and those of these cgroups and below, are in.
    NamespacesOf { processes: Vec<u32>, cgroups: Vec<u64> },
    /// → a packet socket, opened in a namespace.
    PacketSocket { namespace: u32 },
    /// → a namespace's interfaces.
    Links { namespace: u32 },
    /// → what a namespace counts, and its translated connections if they are wanted.
    Counted { namespace: u32, connections: bool },
    /// → TLS functions not told before, their events, and how many were refused.
    Functions,
    /// → processes that are Go programs with their layouts, and how many programs of unknown layout were met.
    GoPrograms,
    /// → the same of one process.
    GoProgram { pid: u32 },
    /// → the path of a process's executable.
    Executable { pid: u32 },
    /// → [`super::Cost`].
    Cost,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done(Value),
    /// The system's error number, where there is one, and words.
    Failed(Option<i32>, String),
}

impl Answer {
    pub(super) fn of(result: io::Result<Value>) -> Answer {
        match result {
            Ok(value) => Answer::Done(value),
            Err(error) => Answer::Failed(error.raw_os_error(), error.to_string()),
        }
    }

    pub(super) fn into_result(self) -> io::Result<Value> {
        match self {
            Answer::Done(value) => Ok(value),
            Answer::Failed(Some(number), _) => Err(io::Error::from_raw_os_error(number)),
            Answer::Failed(None, words) => Err(io::Error::other(words)),
        }
    }
}
