//! Giving up privileges (capset(2), include/uapi/linux/capability.h): for this thread and those that it starts. Never gains one.
#![allow(unsafe_code, reason = "capset has no safe interface")]

use crate::machine::Capability;
use nix::errno::Errno;

/// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
const VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    /// 0: the calling thread.
    pid: i32,
}

#[repr(C)]
#[derive(Default, Clone, Copy)]
struct Words {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Keeps those of `wanted` that it has, and no other.
pub(crate) fn keep(wanted: &[Capability]) -> Result<(), Errno> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut words = [Words::default(); 2];
    // SAFETY: header and words have the layout of the version named, and live through the call.
    let done = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    Errno::result(done)?;
    for (n, word) in words.iter_mut().enumerate() {
        let mask = wanted
            .iter()
            .map(|capability| *capability as u32)
            .filter(|bit| *bit as usize / 32 == n);
        word.permitted &= mask.fold(0, |mask, bit| mask | 1 << (bit % 32));
        word.effective = word.permitted;
        word.inheritable = 0;
    }
    let mut header = Header { version: VERSION, pid: 0 };
    // SAFETY: as above.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    Errno::result(done).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kept_is_gone() {
        // On a thread of its own: capabilities belong to threads.
        let status = std::thread::spawn(|| {
            keep(&[]).expect("anyone may give up privileges");
            std::fs::read_to_string("/proc/thread-self/status").expect("it is there")
        });
        let status = status.join().expect("it ends");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
        assert!(status.contains("CapPrm:\t0000000000000000"), "{status}");
    }
}
