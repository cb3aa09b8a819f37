//! Processes that are Go programs, and where their runtime keeps the running goroutine: known by version, as the compiler's debugging
//! information told it of programs built with each. Never reads a process's memory.

use super::watch::Watch;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, elf};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where a Go program keeps what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GoLayout {
    /// Of the running goroutine's address (`runtime.tlsg`), from the thread's base (`fs`).
    pub(crate) current: i64,
    /// Of `goid` in `runtime.g`.
    pub(crate) task: u64,
    /// Of `parentGoid` in `runtime.g`, since 1.21.
    pub(crate) creator: Option<u64>,
}

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Program {
    Go(GoLayout),
    /// Go of a version, or linked in a way, that is not known.
    Unknown,
    Other,
}

/// Offsets of `goid` and `parentGoid` by the minor version of Go 1. (21 to 27 are tried by `tests/other-go`;
/// those before 21 are the fields' places in Go's sources, 19 seen in a program's debugging information.)
fn offsets(minor: u32) -> Option<(u64, Option<u64>)> {
    match minor {
        18..=20 => Some((152, None)),
        21..=22 | 25 => Some((152, Some(272))),
        23..=24 => Some((160, Some(280))),
        26..=27 => Some((152, Some(280))),
        _ => None,
    }
}

/// Programs seen so far.
#[derive(Default)]
pub(super) struct GoPrograms {
    watch: Watch,
    /// By device and inode.
    files: HashMap<(u64, u64), Program>,
    processes: BTreeMap<u32, GoLayout>,
}

impl GoPrograms {
    /// All processes that are Go programs by now; and how many files of unknown layout were met since it was asked last.
    pub(super) fn found(&mut self) -> (BTreeMap<u32, GoLayout>, u64) {
        let n_unknown = self.watch.due().into_iter().map(|id| self.look(id).1).sum();
        self.processes.retain(|id, _| self.watch.is_there(*id));
        (self.processes.clone(), n_unknown)
    }

    /// Whether this process is one, and whether its program was met now and has an unknown layout.
    pub(super) fn look(&mut self, id: u32) -> (Option<GoLayout>, u64) {
        let path = format!("/proc/{id}/exe");
        let mut n_unknown = 0;
        // Kernel threads have none.
        let program = fs::metadata(&path).ok().map(|file| {
            *self.files.entry((file.dev(), file.ino())).or_insert_with(|| {
                let program = program(Path::new(&path));
                n_unknown += u64::from(program == Program::Unknown);
                program
            })
        });
        let layout = match program {
            Some(Program::Go(layout)) => Some(layout),
            _ => None,
        };
        match layout {
            Some(layout) => self.processes.insert(id, layout),
            None => self.processes.remove(&id),
        };
        (layout, n_unknown)
    }
}

fn program(path: &Path) -> Program {
    let Ok(file) = File::open(path) else { return Program::Other };
    let cache = object::ReadCache::new(file);
    let Ok(file) = ElfFile64::<Endianness, _>::parse(&cache) else { return Program::Other };
    let Some(version) = file.section_by_name(".go.buildinfo") else { return Program::Other };
    let minor = version.data().ok().and_then(minor_version);
    let layout = minor.and_then(offsets).zip(current(&file));
    match layout {
        Some(((task, creator), current)) => Program::Go(GoLayout { current, task, creator }),
        None => Program::Unknown,
    }
}

/// 21 of `go1.21.3`. Since 1.18 the text stands in the section: a mark of 32 bytes, its length as a varint, the text
/// (debug/buildinfo).
fn minor_version(section: &[u8]) -> Option<u32> {
    let text = section.strip_prefix(b"\xff Go buildinf:")?.get(18..)?;
    let text = text.get(1..1 + usize::from(*text.first()?).min(64).min(text.len() - 1))?;
    let text = std::str::from_utf8(text).ok()?;
    let version = &text[text.find("go1.")? + 4..];
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..end].parse().ok()
}

/// Go's own linker reserves the word below the thread's base; another one places it among the program's thread-local variables.
fn current<'data>(
    file: &ElfFile64<'data, Endianness, &'data object::ReadCache<File>>,
) -> Option<i64> {
    const OWN: i64 = -8;
    let endian = file.endian();
    let tls = file.elf_program_headers().iter().find(|header| header.p_type(endian) == elf::PT_TLS);
    let Some(tls) = tls else { return Some(OWN) };
    let align = tls.p_align(endian).max(1);
    let size = tls.p_memsz(endian).checked_next_multiple_of(align)?;
    let placed = file.symbols().find(|symbol| symbol.name() == Ok("runtime.tlsg"));
    match placed {
        Some(symbol) => Some(symbol.address() as i64 - size as i64),
        // It alone is there.
        None if tls.p_memsz(endian) == 8 => Some(OWN),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_the_linker_writes_them() {
        let check = |version: &str, expected: Option<u32>| {
            let mut section = b"\xff Go buildinf:\x08\x02".to_vec();
            section.resize(32, 0);
            section.push(version.len() as u8);
            section.extend_from_slice(version.as_bytes());
            assert_eq!(minor_version(&section), expected, "{version}");
            for n in 0..section.len() {
                minor_version(&section[..n]);
            }
        };
        check("go1.21.13", Some(21));
        check("go1.22", Some(22));
        check("go1.26.1 X:nocoverageredesign", Some(26));
        check("devel go1.28-0123abc", Some(28));
        check("devel +0123abc", None);
        check("", None);
    }

    #[test]
    fn what_is_no_go_program_is_none() {
        assert_eq!(program(Path::new("/proc/self/exe")), Program::Other);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        for content in [&b""[..], b"\x7fELF\x02\x01\x01", &[0xff; 4096]] {
            std::fs::write(&path, content).expect("written");
            assert_eq!(program(&path), Program::Other);
        }
    }
}
