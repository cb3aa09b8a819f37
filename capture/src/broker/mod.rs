//! Privileged work while recording goes on. A small process of its own, the broker, keeps the capabilities that following what
//! appears later takes, and does what [`Errand`] lists and nothing else; the recorder itself then has none. Never records anything.

mod cost;
mod errand;
mod functions;
mod go;
mod go_functions;
mod libraries;
mod places;
mod serve;
mod watch;
mod work;

pub use serve::serve;

pub(crate) use cost::{Cost, used};
pub(crate) use functions::Function;
pub(crate) use go::GoLayout;
pub(crate) use work::Counted;

use crate::error::{Error, Result};
use crate::kernel::{Link, Namespace, messages};
use errand::{Answer, Errand};
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;
use work::Work;

/// The subcommand of this very program that is the broker.
pub const SUBCOMMAND: &str = "broker";

/// Nothing that is asked takes longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who does privileged work; copies ask the same one.
#[derive(Clone)]
pub struct Broker(Rc<RefCell<Hands>>);

enum Hands {
    /// This process, with what privileges it has.
    Own(Box<Work>),
    /// The broker.
    Others(Apart),
    /// The broker went: what it did is not done any more.
    Gone { is_told: bool },
}

struct Apart {
    socket: UnixStream,
    process: Child,
}

impl Broker {
    /// None: this process works itself, as long as it may.
    pub(crate) fn own() -> Broker {
        Broker(Rc::new(RefCell::new(Hands::Own(Box::default()))))
    }

    /// Starts one, with this process's privileges.
    pub(crate) fn start() -> Result<Broker> {
        let failed = |error: io::Error| {
            Error::system(
                "starting the process that keeps privileges (not with --no-follow)",
                &error,
            )
        };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        ours.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        ours.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let process = Command::new("/proc/self/exe")
            .arg0("afterpath-record")
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let broker = Broker(Rc::new(RefCell::new(Hands::Others(Apart { socket: ours, process }))));
        broker.cost().map_err(failed)?;
        Ok(broker)
    }

    /// The broker's process.
    pub(crate) fn id(&self) -> Option<u32> {
        match &*self.0.borrow() {
            Hands::Others(apart) => Some(apart.process.id()),
            _ => None,
        }
    }

    /// All network namespaces, by inode number.
    pub(crate) fn namespaces(&self) -> io::Result<BTreeMap<u32, Namespace>> {
        Ok(self.ask(Errand::Namespaces)?.0)
    }

    /// The namespaces of these processes, and of those in these cgroups or below.
    pub(crate) fn namespaces_of(
        &self,
        processes: &[u32],
        cgroups: &[u64],
    ) -> io::Result<BTreeSet<u32>> {
        let (processes, cgroups) = (processes.to_vec(), cgroups.to_vec());
        Ok(self.ask(Errand::NamespacesOf { processes, cgroups })?.0)
    }

    /// A packet socket that was opened in a namespace; nothing comes in before it is bound.
    pub(crate) fn packet_socket(&self, namespace: u32) -> io::Result<OwnedFd> {
        let ((), mut descriptors) = self.ask(Errand::PacketSocket { namespace })?;
        descriptors.pop().ok_or_else(|| io::Error::other("no socket came"))
    }

    /// A namespace's interfaces.
    pub(crate) fn links(&self, namespace: u32) -> io::Result<Vec<Link>> {
        Ok(self.ask(Errand::Links { namespace })?.0)
    }

    /// What a namespace counts, and which connections it translates.
    pub(crate) fn counted(&self, namespace: u32, connections: bool) -> io::Result<Counted> {
        Ok(self.ask(Errand::Counted { namespace, connections })?.0)
    }

    /// TLS functions that were not told before, in libraries of the machine and of any process, each with its event.
    pub(crate) fn functions(&self) -> io::Result<(Vec<(Function, OwnedFd)>, u64)> {
        let ((functions, n_refused), descriptors): ((Vec<Function>, u64), _) =
            self.ask(Errand::Functions)?;
        Ok((functions.into_iter().zip(descriptors).collect(), n_refused))
    }

    /// Processes that are Go programs; and how many programs were met whose version or linking is not known.
    pub(crate) fn go_programs(&self) -> io::Result<(BTreeMap<u32, GoLayout>, u64)> {
        Ok(self.ask(Errand::GoPrograms)?.0)
    }

    /// The same of one process.
    pub(crate) fn go_program(&self, pid: u32) -> io::Result<(Option<GoLayout>, u64)> {
        Ok(self.ask(Errand::GoProgram { pid })?.0)
    }

    /// The path of a process's executable; empty where it can't be read.
    pub(crate) fn executable(&self, pid: u32) -> String {
        self.ask(Errand::Executable { pid }).map(|(path, _)| path).unwrap_or_default()
    }

    /// What the broker used so far; nothing of a process of its own where there is none.
    pub(crate) fn cost(&self) -> io::Result<Cost> {
        match &*self.0.borrow() {
            Hands::Others(_) => {}
            _ => return Ok(Cost::default()),
        }
        Ok(self.ask(Errand::Cost)?.0)
    }

    /// Whether the broker went since it was asked last, and was not to.
    pub(crate) fn went(&self) -> bool {
        match &mut *self.0.borrow_mut() {
            Hands::Gone { is_told } => !std::mem::replace(is_told, true),
            _ => false,
        }
    }

    /// Ends the broker and waits for it.
    pub(crate) fn end(&self) {
        let hands = std::mem::replace(&mut *self.0.borrow_mut(), Hands::Gone { is_told: true });
        if let Hands::Others(Apart { socket, mut process }) = hands {
            drop(socket);
            let _ = process.wait();
        }
    }

    fn ask<T: DeserializeOwned>(&self, errand: Errand) -> io::Result<(T, Vec<OwnedFd>)> {
        let mut hands = self.0.borrow_mut();
        let answer = match &mut *hands {
            Hands::Own(work) => work.run(&errand),
            Hands::Others(apart) => match apart.ask(&errand) {
                Ok((answer, descriptors)) => answer.into_result().map(|value| (value, descriptors)),
                Err(error) => {
                    // Whatever came after this would be the answer to something else.
                    let _ = apart.process.kill();
                    let _ = apart.process.wait();
                    *hands = Hands::Gone { is_told: false };
                    Err(error)
                }
            },
            Hands::Gone { .. } => Err(io::ErrorKind::NotConnected.into()),
        };
        let (value, descriptors) = answer?;
        Ok((serde_json::from_value(value)?, descriptors))
    }
}

impl Apart {
    fn ask(&self, errand: &Errand) -> io::Result<(Answer, Vec<OwnedFd>)> {
        messages::send(&self.socket, &serde_json::to_vec(errand)?, &[])?;
        let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (body, descriptors) = messages::receive(&self.socket)?.ok_or_else(gone)?;
        Ok((serde_json::from_slice(&body)?, descriptors))
    }
}
