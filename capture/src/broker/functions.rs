//! Functions of TLS libraries as events of user probes: where they lie in a file, and the event opened there. Never joins one to a
//! program.

use super::go_functions;
use super::libraries::Libraries;
use super::places::Body;
use crate::kernel::{messages::MAX_DESCRIPTORS, uprobe};
use iced_x86::Register;
use object::{Object, ObjectSegment, ObjectSymbol};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What is looked at of libssl, and whether its return, too.
const LIBSSL: [(&str, bool); 6] = [
    ("SSL_read", true),
    ("SSL_read_ex", true),
    ("SSL_write", true),
    ("SSL_write_ex", true),
    ("SSL_do_handshake", true),
    ("SSL_free", false),
];

/// Where C's callers pass what is read at the entry (System V ABI, x86-64).
const ARGUMENTS: [Register; 4] = [Register::RDI, Register::RSI, Register::RDX, Register::RCX];
/// No function is longer.
const MAX_CODE: u64 = 1 << 14;

/// Places of one file, at most.
pub(super) const MAX_OF_ONE: usize = 64;

/// A place where a program may be attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// `SSL_read` …
    pub(crate) name: String,
    /// Where it returns, not where it begins.
    pub(crate) is_return: bool,
}

/// The libraries found so far, and those not looked into yet.
#[derive(Default)]
pub(super) struct Functions {
    libraries: Libraries,
    waiting: VecDeque<PathBuf>,
    looked: bool,
}

impl Functions {
    /// Functions that were not told before with their events, as many as a message holds; and how many libraries refused.
    pub(super) fn found(&mut self) -> (Vec<(Function, OwnedFd)>, u64) {
        if !std::mem::replace(&mut self.looked, true) {
            self.waiting.extend(self.libraries.in_folders());
        }
        self.waiting.extend(self.libraries.in_processes());
        let (mut found, mut n_refused) = (Vec::new(), 0);
        while found.len() + MAX_OF_ONE <= MAX_DESCRIPTORS
            && let Some(path) = self.waiting.pop_front()
        {
            match functions_of(&path) {
                Ok(more) => found.extend(more),
                Err(_) => n_refused += 1,
            }
        }
        (found, n_refused)
    }
}

/// The functions of a library or a Go program, as far as it has them; a library without any is an error.
fn functions_of(path: &Path) -> io::Result<Vec<(Function, OwnedFd)>> {
    let mut found = Vec::new();
    if path.ends_with("exe") {
        for (name, is_return, offset) in go_functions::offsets(path)? {
            // A return is an instruction like others here: Go's stacks move.
            found.push((
                Function { name: name.to_string(), is_return },
                uprobe::open(path, offset, false)?,
            ));
        }
        return Ok(found);
    }
    for ((name, has_return), lies) in LIBSSL.iter().zip(offsets(path)?) {
        let Some((offset, code)) = lies else { continue };
        let mut open = |is_return: bool, at: u64, hijacks: bool| -> io::Result<()> {
            let function = Function { name: (*name).to_string(), is_return };
            found.push((function, uprobe::open(path, offset + at, hijacks)?));
            Ok(())
        };
        let body = Body::of(&code);
        let exits = body.as_ref().and_then(Body::cheap_returns).filter(|_| *has_return);
        match (body, exits) {
            (Some(body), Some(exits)) if exits.len() < MAX_OF_ONE / LIBSSL.len() => {
                open(false, body.entry(&ARGUMENTS), false)?;
                exits.into_iter().try_for_each(|at| open(true, at, false))?;
            }
            // A return that is changed at the entry: both then cost one exception together.
            _ if *has_return => [false, true].into_iter().try_for_each(|r| open(r, 0, r))?,
            (body, _) => open(false, body.map_or(0, |body| body.entry(&ARGUMENTS)), false)?,
        }
    }
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// Where a function lies in its file, and its code.
type Lies = Option<(u64, Vec<u8>)>;

/// Those of libssl in a file.
fn offsets(path: &Path) -> io::Result<[Lies; LIBSSL.len()]> {
    let cache = object::ReadCache::new(File::open(path)?);
    let file = object::File::parse(&cache).map_err(io::Error::other)?;
    let mut offsets = [const { None }; LIBSSL.len()];
    for symbol in file.dynamic_symbols().chain(file.symbols()) {
        let name = symbol.name().unwrap_or_default();
        let Some(place) = LIBSSL.iter().position(|(wanted, _)| *wanted == name) else { continue };
        if symbol.is_definition() {
            let lies = || lies(&file, symbol.address(), symbol.size().min(MAX_CODE));
            offsets[place] = offsets[place].take().or_else(lies);
        }
    }
    Ok(offsets)
}

/// Where an address of a loaded segment lies in the file, and the bytes there.
fn lies<'data>(file: &impl Object<'data>, address: u64, length: u64) -> Lies {
    file.segments().find_map(|segment| {
        let (begin, size) = segment.file_range();
        let inside = address.checked_sub(segment.address()).filter(|inside| *inside < size)?;
        let code = segment.data_range(address, length).ok().flatten().unwrap_or_default();
        Some((begin + inside, code.to_vec()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_has_no_functions() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("libssl.so.3");
        for content in [&b""[..], b"\x7fELF", &[0x7f; 4096]] {
            std::fs::write(&path, content).expect("written");
            assert!(functions_of(&path).is_err());
        }
    }

    #[test]
    fn a_program_without_them_has_none() {
        let own = Path::new("/proc/self/exe");
        assert!(offsets(own).expect("a program").iter().all(Option::is_none));
    }
}
