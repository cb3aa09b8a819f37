//! Whether an event's bytes are exactly those between its two sequence numbers, and why not. Never changes a number.

use super::record::Event;

const MSG_PEEK: u32 = 0x2;
const MSG_FASTOPEN: u32 = 0x2000_0000;

/// The mark of `socket_events`, or `None` where the bytes tile the stream.
pub(super) fn mark(event: &Event<'_>) -> Option<&'static str> {
    if event.direction == 0 {
        return None;
    }
    if event.direction == 1 && event.flags & MSG_PEEK != 0 {
        return Some("peek");
    }
    if event.mptcp {
        return Some("no-sequence");
    }
    let (before, after) = event.sequences?;
    let moved = i64::from(after.wrapping_sub(before));
    let n_bytes = event.result.max(0);
    if moved == n_bytes {
        return None;
    }
    match event.direction {
        2 if event.flags & MSG_FASTOPEN != 0 => Some("fast-open"),
        1 if moved == n_bytes + 1 => Some("fin"),
        _ => Some("interleaved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        (direction, flags, before, after, result): (u8, u32, u32, u32, i64),
        expected: Option<&str>,
    ) {
        let event = Event {
            call: "read",
            kind: "tcp",
            mptcp: false,
            direction,
            fd: Some(3),
            time_ns: 1,
            exit_ns: 2,
            inode: 5,
            pid: 7,
            tid: 7,
            result,
            flags,
            sequences: Some((before, after)),
            peer: None,
            bytes: &[],
        };
        assert_eq!(mark(&event), expected);
    }

    #[test]
    fn bytes_that_tile_the_stream_have_no_mark() {
        check((1, 0, 100, 110, 10), None);
        check((2, 0, u32::MAX, 9, 10), None);
        check((1, 0, 100, 100, -104), None);
        check((1, 0, 100, 111, 10), Some("fin"));
        check((1, 0, 100, 101, 0), Some("fin"));
        check((1, MSG_PEEK, 100, 100, 10), Some("peek"));
        check((1, 0, 100, 120, 10), Some("interleaved"));
        check((1, 0, 100, 100, 10), Some("interleaved"));
        check((2, MSG_FASTOPEN, 100, 100, 10), Some("fast-open"));
        check((0, 0, 100, 500, 0), None);
    }
}
