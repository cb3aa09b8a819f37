//! Messages with descriptors over a Unix socket (SCM_RIGHTS, unix(7)): a length, then so many bytes. Never knows what they say.
#![allow(unsafe_code, reason = "a descriptor that came in a message is a number until it is owned")]

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Descriptors in one message at most (the kernel's limit is SCM_MAX_FD, 253).
pub(crate) const MAX_DESCRIPTORS: usize = 128;
/// A message is no longer than this.
const MAX_BYTES: usize = 256 << 20;

/// Sends one message.
pub(crate) fn send(
    mut socket: &UnixStream,
    body: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<()> {
    let length = (body.len() as u32).to_ne_bytes();
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
    let head = [IoSlice::new(&length)];
    let n = sendmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &head,
        rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    socket.write_all(&length[n..])?;
    socket.write_all(body)
}

/// Waits for one message; `None`: the other side went.
pub(crate) fn receive(mut socket: &UnixStream) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut head = [IoSliceMut::new(&mut length)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut head, Some(&mut space), flags)?;
    let n = received.bytes;
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel just made these descriptors for this process, and nobody else knows their numbers.
            descriptors
                .extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    if n == 0 {
        return Ok(None);
    }
    socket.read_exact(&mut length[n..])?;
    let length = u32::from_ne_bytes(length) as usize;
    if length > MAX_BYTES {
        return Err(io::Error::other("a message that nobody sends"));
    }
    let mut body = vec![0; length];
    socket.read_exact(&mut body)?;
    Ok(Some((body, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn bytes_and_descriptors_arrive_together() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"in a file").expect("written");
        let copy = file.as_fd().try_clone_to_owned().expect("a copy");
        send(&here, b"first", &[copy]).expect("sent");
        send(&here, b"", &[]).expect("sent");
        drop(here);
        let (body, mut descriptors) = receive(&there).expect("received").expect("a message");
        assert_eq!((&body[..], descriptors.len()), (&b"first"[..], 1));
        let mut same = std::fs::File::from(descriptors.remove(0));
        let mut text = String::new();
        io::Seek::rewind(&mut same).expect("a file");
        same.read_to_string(&mut text).expect("read");
        assert_eq!(text, "in a file");
        let (body, descriptors) = receive(&there).expect("received").expect("a message");
        assert!(body.is_empty() && descriptors.is_empty());
        assert!(receive(&there).expect("the end").is_none());
    }
}
