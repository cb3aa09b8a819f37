//! User probes as performance events (perf_event_open(2), the `uprobe` PMU): opened by whoever may, joined to a program by whoever
//! holds both. Closing one detaches it. Never reads a register.
#![allow(unsafe_code, reason = "perf_event_open and its ioctls have no safe interface")]

use nix::errno::Errno;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const PMU: &str = "/sys/bus/event_source/devices/uprobe";
/// PERF_FLAG_FD_CLOEXEC
const CLOEXEC: libc::c_ulong = 8;
/// PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF
const ENABLE: libc::c_ulong = 0x2400;
const SET_BPF: libc::c_ulong = 0x4004_2408;

/// The beginning of perf_event_attr, as long as PERF_ATTR_SIZE_VER1 (include/uapi/linux/perf_event.h).
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    /// Address of the path.
    config1: u64,
    /// Offset in the file.
    config2: u64,
}

/// Opens the event of an instruction, `offset` bytes into the file, or of the return of the function that begins there; in all
/// processes.
pub(crate) fn open(path: &Path, offset: u64, is_return: bool) -> io::Result<OwnedFd> {
    let number = |text: String| text.trim().parse().map_err(io::Error::other);
    let kind: u32 = number(fs::read_to_string(format!("{PMU}/type"))?)?;
    // `config:0`
    let format = fs::read_to_string(format!("{PMU}/format/retprobe"))?;
    let bit: u32 = number(format.trim_start_matches("config:").to_string())?;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let attributes = Attributes {
        kind,
        size: size_of::<Attributes>() as u32,
        config: u64::from(is_return) << (bit % 64),
        config1: path.as_ptr() as u64,
        config2: offset,
        ..Attributes::default()
    };
    // SAFETY: attributes and path live through the call, the size is that of the attributes; the descriptor is owned at once.
    unsafe {
        let fd =
            libc::syscall(libc::SYS_perf_event_open, &raw const attributes, -1, 0, -1, CLOEXEC);
        Ok(OwnedFd::from_raw_fd(Errno::result(fd)? as i32))
    }
}

/// Joins an event to a program: from now on it runs there.
pub(crate) fn join(event: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: two descriptors that are open, no pointer.
    unsafe {
        Errno::result(libc::ioctl(event.as_raw_fd(), SET_BPF, program.as_raw_fd()))?;
        Errno::result(libc::ioctl(event.as_raw_fd(), ENABLE, 0))?;
    }
    Ok(())
}
