//! The broker's own process: answers until the recorder has gone. It outlives signals: those that end a recorder are meant for it,
//! and the broker is needed until it has ended.

use super::errand::Answer;
use super::work::Work;
use crate::kernel::{keep_privileges, messages};
use crate::machine::Capability;
use nix::sys::signal::SigSet;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// What it keeps, if it has them: packet sockets; other namespaces, events of user probes; processes of others; translated
/// connections; events of user probes where CAP_SYS_ADMIN is not there.
const KEPT: [Capability; 5] = [
    Capability::NetRaw,
    Capability::SysAdmin,
    Capability::SysPtrace,
    Capability::NetAdmin,
    Capability::Perfmon,
];

/// Serves the recorder at the other end of standard input, until that closes.
pub fn serve() -> io::Result<()> {
    SigSet::all().thread_block()?;
    keep_privileges(&KEPT)?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let not_asked = |error: io::Error| {
        io::Error::new(error.kind(), "the broker is started by a recorder, not by hand")
    };
    socket.peer_addr().map_err(not_asked)?;
    let mut work = Work::default();
    while let Some((body, _)) = messages::receive(&socket)? {
        let result = match serde_json::from_slice(&body) {
            Ok(errand) => work.run(&errand),
            Err(error) => Err(error.into()),
        };
        let (result, descriptors) = match result {
            Ok((value, descriptors)) => (Ok(value), descriptors),
            Err(error) => (Err(error), Vec::new()),
        };
        messages::send(&socket, &serde_json::to_vec(&Answer::of(result))?, &descriptors)?;
    }
    Ok(())
}
