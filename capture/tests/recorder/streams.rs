//! Socket events tile TCP streams exactly: bytes that say their own place are sent in many ways, and every event's bytes must be
//! those of its sequence numbers.

use super::made::{Recorded, Recorder, can_record};
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND};
use std::collections::BTreeMap;
use std::io::{IoSlice, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Byte `at` of every stream.
fn byte(at: u32) -> u8 {
    (at.wrapping_mul(2_654_435_761) >> 11) as u8
}

fn bytes(from: u32, n: usize) -> Vec<u8> {
    (from..from + n as u32).map(byte).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

const N_WRITES: usize = 4000;

/// Bytes kept of an event where nothing else is asked for.
const N_KEPT: i64 = 1024;

/// Writes of all sizes and forms; then the end of the stream.
fn write_all(mut stream: TcpStream, mut random: Random) -> u32 {
    let mut at = 0u32;
    for _ in 0..N_WRITES {
        let most = if random.below(10) == 0 { 60_000 } else { 300 };
        let n = 1 + random.below(most) as usize;
        let chunk = bytes(at, n);
        let cut = random.below(n as u64) as usize;
        let n = match random.below(4) {
            0 => stream.write_vectored(&[IoSlice::new(&chunk[..cut]), IoSlice::new(&chunk[cut..])]),
            // As gRPC's library writes: a buffer for each header.
            1 => {
                let pieces = chunk.chunks(n.div_ceil(30)).map(IoSlice::new);
                stream.write_vectored(&pieces.collect::<Vec<_>>())
            }
            _ => stream.write(&chunk),
        };
        at += n.expect("written") as u32;
    }
    stream.shutdown(Shutdown::Write).expect("shut down");
    at
}

/// Reads with buffers of all sizes, peeking now and then.
fn read_all(mut stream: TcpStream, mut random: Random) -> u32 {
    let mut buffer = vec![0; 100_000];
    let mut at = 0u32;
    loop {
        let n = 1 + random.below(3000) as usize;
        if random.below(8) == 0 {
            let n_peeked = stream.peek(&mut buffer[..n]).expect("peeked");
            assert_eq!(buffer[..n_peeked], bytes(at, n_peeked)[..]);
        }
        let n_read = stream.read(&mut buffer[..n]).expect("read");
        if n_read == 0 {
            return at;
        }
        assert_eq!(buffer[..n_read], bytes(at, n_read)[..]);
        at += n_read as u32;
    }
}

/// What the events of one direction of one socket say.
#[derive(Default)]
struct Side {
    first: Option<u32>,
    next: Option<u32>,
    n_bytes: u64,
    n_events: usize,
    n_marked: BTreeMap<String, usize>,
    n_fins: usize,
}

fn sides(recorded: &Recorded) -> BTreeMap<(i64, u8), Side> {
    let mut sides: BTreeMap<(i64, u8), Side> = BTreeMap::new();
    recorded.each_event(|event| {
        let (Some(socket), Some(direction), Some(result)) =
            (event.socket_id, event.direction, event.result)
        else {
            return;
        };
        if event.kind != "tcp" || result < 0 {
            return;
        }
        let side = sides.entry((socket, direction)).or_default();
        side.n_events += 1;
        let (before, after) =
            (event.sequence_before.expect("numbers"), event.sequence_after.expect("numbers"));
        let first = *side.first.get_or_insert(before);
        if let Some(kept) = event.bytes {
            let at = before.wrapping_sub(first);
            assert_eq!(kept, bytes(at, kept.len()), "{} bytes at {at}", kept.len());
            assert_eq!(kept.len() as i64, result.min(N_KEPT), "in whatever buffers it was");
        }
        match event.mark {
            None | Some("fin") => {
                let next = *side.next.get_or_insert(before);
                assert_eq!(before, next, "events leave no gap and don't overlap");
                side.n_bytes += result as u64;
                side.n_fins += usize::from(event.mark.is_some());
                side.next = Some(after);
            }
            Some(mark) => *side.n_marked.entry(mark.to_string()).or_default() += 1,
        }
    });
    sides
}

#[test]
fn events_tile_streams() {
    if !can_record("sockets", "tiling of streams by events") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let own = std::process::id().to_string();
    let recorder = Recorder::start(&["--probes", "sockets", "--payload", "raw", "--pid", &own]);
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (server, _) = listener.accept().expect("accepted");
    let (here, there) = (client.try_clone().expect("cloned"), server.try_clone().expect("cloned"));
    let writers = [
        thread::spawn(move || write_all(client, Random(1))),
        thread::spawn(move || write_all(server, Random(2))),
    ];
    let readers = [
        thread::spawn(move || read_all(there, Random(3))),
        thread::spawn(move || read_all(here, Random(4))),
    ];
    let sent = writers.map(|writer| writer.join().expect("written"));
    let received = readers.map(|reader| reader.join().expect("read"));
    assert_eq!(sent, received);
    let recorded = recorder.stop();
    assert_eq!(recorded.losses(), [], "nothing is lost");
    let sides = sides(&recorded);
    let mut sums: Vec<u64> = Vec::new();
    let mut n_events = 0;
    for ((_, direction), side) in &sides {
        sums.push(side.n_bytes);
        n_events += side.n_events;
        if *direction == INBOUND {
            assert!(side.n_marked.get("peek").is_some_and(|n| *n > 10), "peeks are marked");
            // The end of the stream is read once, alone or with the last bytes.
            assert_eq!(side.n_fins, 1, "the end of the stream");
        }
        assert!(side.n_marked.keys().all(|mark| mark == "peek"), "{:?}", side.n_marked);
    }
    sums.sort_unstable();
    let mut expected: Vec<u64> = sent.iter().flat_map(|n| [u64::from(*n), u64::from(*n)]).collect();
    expected.sort_unstable();
    assert_eq!(sums, expected, "every byte is in exactly one event of its direction and end");
    assert!(n_events >= 10_000, "{n_events} events");
}

#[test]
fn concurrent_callers_are_marked_where_they_can_not_be_told_apart() {
    if !can_record("sockets", "concurrent callers on one socket") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let own = std::process::id().to_string();
    let recorder = Recorder::start(&["--probes", "sockets", "--pid", &own]);
    let client = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    let (mut server, _) = listener.accept().expect("accepted");
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let mut stream = client.try_clone().expect("cloned");
            thread::spawn(move || {
                (0..5000).for_each(|_| stream.write_all(&[1; 64]).expect("written"))
            })
        })
        .collect();
    let reader = thread::spawn(move || {
        let mut n = 0;
        let mut buffer = vec![0; 65_536];
        while n < 4 * 5000 * 64 {
            n += server.read(&mut buffer).expect("read");
        }
    });
    callers.into_iter().for_each(|caller| caller.join().expect("written"));
    reader.join().expect("read");
    let recorded = recorder.stop();
    // An unmarked event moved the sequence by exactly its bytes; what did not is marked. All are there.
    let (mut n_events, mut n_marked) = (0, 0);
    recorded.each_event(|event| {
        if event.direction == Some(OUTBOUND) && event.kind == "tcp" {
            let moved = event
                .sequence_after
                .expect("a number")
                .wrapping_sub(event.sequence_before.expect("a number"));
            n_events += 1;
            match event.mark {
                None => assert_eq!(i64::from(moved), event.result.expect("a result")),
                Some(mark) => {
                    assert_eq!(mark, "interleaved");
                    n_marked += 1;
                }
            }
        }
    });
    assert_eq!(n_events, 4 * 5000);
    assert!(n_marked < n_events);
}
