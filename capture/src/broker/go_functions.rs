//! Functions of Go's crypto/tls in a program: where each begins and where it returns, from the table by which the runtime itself finds
//! functions (`.gopclntab`; runtime/symtab.go), which stripping leaves. Never trusts an offset.

use super::functions::MAX_OF_ONE;
use super::places::Body;
use iced_x86::Register;
use object::elf;
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use std::fs::File;
use std::io;
use std::path::Path;

/// Functions, and what they are called here.
const FUNCTIONS: [(&str, &str); 4] = [
    ("crypto/tls.(*Conn).Read", "go_read"),
    ("crypto/tls.(*Conn).Write", "go_write"),
    ("crypto/tls.(*Conn).handshakeContext", "go_handshake"),
    ("crypto/tls.(*Conn).Close", "go_close"),
];
/// The table's first word, since 1.18 and since 1.20.
const MAGIC: [u32; 2] = [0xffff_fff0, 0xffff_fff1];
/// Where Go passes what is passed in whole registers, in order (abi-internal.md), and the goroutine.
const ARGUMENTS: [Register; 10] = [
    Register::RAX,
    Register::RBX,
    Register::RCX,
    Register::RDI,
    Register::RSI,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R14,
];
/// No function is longer.
const MAX_CODE: u64 = 1 << 16;

/// A name here, whether it is a place of return, and where in the file. None of a program that is not Go, or does without TLS.
pub(super) fn offsets(path: &Path) -> io::Result<Vec<(&'static str, bool, u64)>> {
    let cache = object::ReadCache::new(File::open(path)?);
    let Ok(file) = ElfFile64::<Endianness, _>::parse(&cache) else { return Ok(Vec::new()) };
    let table = [".gopclntab", ".data.rel.ro.gopclntab"];
    let Some(table) = table.iter().find_map(|name| file.section_by_name(name)) else {
        return Ok(Vec::new());
    };
    let unknown = || io::Error::other("functions of an unknown layout");
    let table = Table(table.data().map_err(io::Error::other)?);
    let found = table.find().ok_or_else(unknown)?;
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let text = table.text(&file).ok_or_else(unknown)?;
    let code = file.section_by_name(".text").ok_or_else(unknown)?;
    let (in_file, _) = code.file_range().ok_or_else(unknown)?;
    let mut places = Vec::new();
    for (name, begin, end) in found {
        let address = text.checked_add(u64::from(begin)).ok_or_else(unknown)?;
        let length = u64::from(end.saturating_sub(begin)).min(MAX_CODE);
        let bytes = code.data_range(address, length).ok().flatten().ok_or_else(unknown)?;
        let offset = in_file + (address - code.address());
        let body = Body::of(bytes).ok_or_else(unknown)?;
        places.push((name, false, offset + body.entry(&ARGUMENTS)));
        places.extend(body.returns().into_iter().map(|at| (name, true, offset + at)));
    }
    if places.len() > MAX_OF_ONE { Err(unknown()) } else { Ok(places) }
}

/// The runtime's table of functions.
struct Table<'a>(&'a [u8]);

impl Table<'_> {
    fn u32(&self, at: u64) -> Option<u32> {
        let at = usize::try_from(at).ok()?;
        Some(u32::from_le_bytes(self.0.get(at..at.checked_add(4)?)?.try_into().ok()?))
    }

    fn u64(&self, at: u64) -> Option<u64> {
        Some(u64::from(self.u32(at)?) | u64::from(self.u32(at.checked_add(4)?)?) << 32)
    }

    /// The wanted functions: begin and end, from the beginning of the code. `None`: another kind of table.
    fn find(&self) -> Option<Vec<(&'static str, u32, u32)>> {
        // Of this byte order, with instructions of any length and addresses of eight bytes.
        if !MAGIC.contains(&self.u32(0)?) || self.0.get(6..8)? != [1, 8] {
            return None;
        }
        let (n_functions, names, functions) = (self.u64(8)?, self.u64(32)?, self.u64(64)?);
        let mut found = Vec::new();
        for n in 0..n_functions {
            let entry = functions.checked_add(n.checked_mul(8)?)?;
            let (begin, at) = (self.u32(entry)?, self.u32(entry.checked_add(4)?)?);
            let end = self.u32(entry.checked_add(8)?)?;
            let name = self.u32(functions.checked_add(u64::from(at))?.checked_add(4)?)?;
            let name = usize::try_from(names.checked_add(u64::from(name))?).ok()?;
            let name = self.0.get(name..)?;
            let is_it = |wanted: &str| {
                name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
            };
            if let Some((_, short)) = FUNCTIONS.iter().find(|(wanted, _)| is_it(wanted)) {
                found.push((*short, begin, end));
            }
        }
        Some(found)
    }

    /// Where the code begins. The table says so until 1.25; then it is where Go's own linker puts it, or a symbol tells.
    fn text<'data>(
        &self,
        file: &ElfFile64<'data, Endianness, &'data object::ReadCache<File>>,
    ) -> Option<u64> {
        let told = self.u64(24)?;
        if told != 0 {
            return Some(told);
        }
        if let Some(symbol) = file.symbols().find(|symbol| symbol.name() == Ok("runtime.text")) {
            return Some(symbol.address());
        }
        let endian = file.endian();
        let by_others = |kind| file.elf_program_headers().iter().any(|h| h.p_type(endian) == kind);
        let is_own = !by_others(elf::PT_TLS) && !by_others(elf::PT_INTERP);
        file.section_by_name(".text").filter(|_| is_own).map(|text| text.address())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_go_program_has_none() {
        assert!(offsets(Path::new("/proc/self/exe")).expect("a program").is_empty());
    }

    proptest! {
        #[test]
        fn any_table_is_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Table(&bytes).find();
            for (at, byte) in [0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8].into_iter().enumerate() {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let _ = Table(&bytes).find();
        }
    }
}
