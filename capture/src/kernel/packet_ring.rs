//! A packet socket with its TPACKET_V3 ring (Documentation/networking/packet_mmap.rst): frames of all interfaces of the namespace
//! it was opened in, stamped with CLOCK_REALTIME. Never decodes a frame.
#![allow(unsafe_code, reason = "packet sockets and their rings have no safe interface")]

use nix::errno::Errno;
use std::ffi::c_void;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

const BLOCK_BYTES: usize = 128 << 10;
/// The smallest allowed; frames of TPACKET_V3 take what they need.
const FRAME_BYTES: usize = 2048;
/// A block that is not full is handed over after this time.
const RETIRE_MS: u32 = 20;

/// Offsets within `struct tpacket_block_desc` (include/uapi/linux/if_packet.h).
const BLOCK_STATUS: usize = 8;
const BLOCK_N_FRAMES: usize = 12;
const BLOCK_FIRST: usize = 16;
/// Offsets within `struct tpacket3_hdr`.
const NEXT: usize = 0;
const SECONDS: usize = 4;
const NANOSECONDS: usize = 8;
const CAPTURED: usize = 12;
const LENGTH: usize = 16;
const STATUS: usize = 20;
const MAC: usize = 24;
const VLAN_TCI: usize = 32;
const VLAN_TPID: usize = 36;
const HEADER: usize = 48;
/// Offsets within `struct sockaddr_ll`, which stands behind the header.
const INTERFACE: usize = 4;
const HARDWARE: usize = 8;
const PACKET_TYPE: usize = 10;

/// One classic BPF instruction (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) value: u32,
}

/// A frame in the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RingFrame<'a> {
    /// CLOCK_REALTIME.
    pub(crate) time_ns: i64,
    pub(crate) ifindex: u32,
    /// `ARPHRD_`.
    pub(crate) hardware: u16,
    /// `PACKET_HOST` …
    pub(crate) packet_type: u8,
    /// The tag that the kernel took out: protocol and control information.
    pub(crate) vlan: Option<(u16, u16)>,
    pub(crate) original_length: u32,
    pub(crate) bytes: &'a [u8],
}

/// What a socket could not keep since it was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RingLosses {
    /// Frames that passed the filter, lost ones too.
    pub(crate) n_frames: u32,
    pub(crate) n_dropped: u32,
}

/// An open socket.
pub(crate) struct PacketRing {
    socket: OwnedFd,
    memory: NonNull<u8>,
    n_blocks: usize,
    next: usize,
}

// SAFETY: the memory belongs to this ring alone, and nothing of it is bound to a thread.
unsafe impl Send for PacketRing {}

impl PacketRing {
    /// A socket of the calling thread's network namespace, where it stays. This alone takes CAP_NET_RAW.
    pub(crate) fn socket() -> Result<OwnedFd, Errno> {
        // SAFETY: no pointers; the descriptor is owned at once.
        unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            Ok(OwnedFd::from_raw_fd(Errno::result(fd)?))
        }
    }

    /// Makes one of such a socket. `filter` decides, before the copy, what is kept of a frame.
    pub(crate) fn open(
        socket: OwnedFd,
        n_bytes: usize,
        filter: &[Instruction],
    ) -> Result<PacketRing, Errno> {
        let fd = socket.as_raw_fd();
        let n_blocks = (n_bytes / BLOCK_BYTES).max(2);
        set(fd, libc::PACKET_VERSION, &(libc::tpacket_versions::TPACKET_V3 as i32))?;
        attach(fd, filter)?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: n_blocks as u32,
            tp_frame_size: FRAME_BYTES as u32,
            tp_frame_nr: (BLOCK_BYTES / FRAME_BYTES * n_blocks) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set(fd, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping of the ring just asked for; its length is that of the request.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK_BYTES * n_blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd,
                0,
            )
        };
        let memory = match NonNull::new(memory.cast::<u8>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => memory,
            _ => return Err(Errno::last()),
        };
        let ring = PacketRing { socket, memory, n_blocks, next: 0 };
        // Nothing comes in before this.
        ring.bind(libc::ETH_P_ALL as u16)?;
        Ok(ring)
    }

    /// Lets nothing more in; what is there can still be taken.
    pub(crate) fn stop(&self) {
        self.filter(&[Instruction { code: 6, if_true: 0, if_false: 0, value: 0 }]);
    }

    /// Another filter instead of the one it has: it takes effect at once, and frames already copied stay.
    pub(crate) fn filter(&self, filter: &[Instruction]) {
        // What the kernel took once it takes again; short of memory, the old one stays.
        let _ = attach(self.socket.as_raw_fd(), filter);
    }

    fn bind(&self, protocol: u16) -> Result<(), Errno> {
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol.to_be();
        // SAFETY: the address lives through the call and has the length given.
        let done = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            )
        };
        Errno::result(done).map(drop)
    }

    /// Hands out the frames of the blocks that are ready. A block is the kernel's again when its frames were taken.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(RingFrame<'_>)) {
        for _ in 0..self.n_blocks {
            let at = self.next * BLOCK_BYTES;
            // SAFETY: within the mapping, aligned as the kernel aligns it; the kernel changes the word, atomically.
            let status =
                unsafe { AtomicU32::from_ptr(self.memory.as_ptr().add(at + BLOCK_STATUS).cast()) };
            if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            // SAFETY: the block is ours until its status is given back, and nobody writes into it meanwhile.
            let block =
                unsafe { std::slice::from_raw_parts(self.memory.as_ptr().add(at), BLOCK_BYTES) };
            frames(block, &mut take);
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % self.n_blocks;
        }
    }

    /// What was counted since the last call.
    pub(crate) fn losses(&self) -> RingLosses {
        // SAFETY: all zeros is a valid value.
        let mut counted: libc::tpacket_stats_v3 = unsafe { std::mem::zeroed() };
        let mut length = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: both pointers live through the call; the length is that of the value.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counted).cast(),
                &raw mut length,
            )
        };
        match done {
            0 => RingLosses { n_frames: counted.tp_packets, n_dropped: counted.tp_drops },
            _ => RingLosses::default(),
        }
    }
}

impl Drop for PacketRing {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `open`, unmapped once.
        unsafe { libc::munmap(self.memory.as_ptr().cast::<c_void>(), BLOCK_BYTES * self.n_blocks) };
    }
}

/// Reads a block's frames. What a length would lead out of the block ends it: the kernel never writes such.
fn frames(block: &[u8], take: &mut impl FnMut(RingFrame<'_>)) {
    let mut at = u32_at(block, BLOCK_FIRST) as usize;
    for _ in 0..u32_at(block, BLOCK_N_FRAMES) {
        let Some((frame, next)) = frame(block, at) else { return };
        take(frame);
        if next == 0 {
            return;
        }
        at += next;
    }
}

fn frame(block: &[u8], at: usize) -> Option<(RingFrame<'_>, usize)> {
    let header = block.get(at..)?.get(..HEADER + size_of::<libc::sockaddr_ll>())?;
    let address = &header[HEADER..];
    let status = u32_at(header, STATUS);
    let begin = at + usize::from(u16_at(header, MAC));
    let tag = || {
        let is_told = status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        let protocol = if is_told { u16_at(header, VLAN_TPID) } else { 0x8100 };
        (protocol, u32_at(header, VLAN_TCI) as u16)
    };
    let frame = RingFrame {
        time_ns: i64::from(u32_at(header, SECONDS)) * 1_000_000_000
            + i64::from(u32_at(header, NANOSECONDS)),
        ifindex: u32_at(address, INTERFACE),
        hardware: u16_at(address, HARDWARE),
        packet_type: address[PACKET_TYPE],
        vlan: (status & libc::TP_STATUS_VLAN_VALID != 0).then(tag),
        original_length: u32_at(header, LENGTH),
        bytes: block.get(begin..)?.get(..u32_at(header, CAPTURED) as usize)?,
    };
    Some((frame, u32_at(header, NEXT) as usize))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn attach(fd: RawFd, filter: &[Instruction]) -> Result<(), Errno> {
    let program =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut().cast() };
    set_at(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

fn set<T>(fd: RawFd, option: i32, value: &T) -> Result<(), Errno> {
    set_at(fd, libc::SOL_PACKET, option, value)
}

fn set_at<T>(fd: RawFd, level: i32, option: i32, value: &T) -> Result<(), Errno> {
    // SAFETY: the value lives through the call and has the length given.
    let done = unsafe {
        libc::setsockopt(fd, level, option, std::ptr::from_ref(value).cast(), size_of::<T>() as u32)
    };
    Errno::result(done).map(drop)
}
