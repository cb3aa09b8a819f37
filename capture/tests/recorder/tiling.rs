//! Socket events against the packets that carried them, over a cable that loses some: every event's bytes are those of the packets
//! between its sequence numbers, and what the packets carried is what the events moved, byte for byte, however often it was sent.

use super::made::{Recorded, Recorder, batches, can_record};
use super::net::Net;
use afterpath_formats::table::packets;
use afterpath_formats::table::socket_events::{INBOUND, OUTBOUND};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, UInt16Type, UInt32Type};
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};

const PORT: u16 = 40_400;
const N_CONNECTIONS: usize = 6;

/// Both ends: bytes that say their own place, written and read in pieces of all sizes, peeked at now and then; then the last bytes
/// and the end of the stream together.
const PROGRAM: &str = r"
import random, socket, sys, threading
server, port, n = sys.argv[1] == 'server', int(sys.argv[2]), int(sys.argv[3])
pattern = bytes((i * 2654435761 >> 11) & 255 for i in range(1 << 17)) * 2
size = 1 << 17
def write(s, rng):
    at = 0
    for _ in range(900):
        length = 1 + rng.randrange(6000 if rng.randrange(8) == 0 else 400)
        s.sendall(pattern[at % size:at % size + length])
        at += length
    # What waits for more takes the end of the stream with it.
    s.sendall(pattern[at % size:at % size + 1], socket.MSG_MORE)
    s.shutdown(socket.SHUT_WR)
def read(s, rng):
    at = 0
    while True:
        length = 1 + rng.randrange(2500)
        if rng.randrange(10) == 0:
            s.recv(length, socket.MSG_PEEK)
        got = s.recv(length)
        if not got:
            return
        assert got == pattern[at % size:at % size + len(got)]
        at += len(got)
def talk(s, seed):
    # Two threads on one socket.
    threads = [threading.Thread(target=f, args=(s, random.Random(seed + i))) for i, f in enumerate((write, read))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    s.close()
talks = []
if server:
    listener = socket.create_server(('10.77.0.2', port))
    print('open', flush=True)
for i in range(n):
    s = listener.accept()[0] if server else socket.create_connection(('10.77.0.2', port))
    talks.append(threading.Thread(target=talk, args=(s, 10 * i + 5 * server)))
    talks[-1].start()
[t.join() for t in talks]
";

fn python(net: &Net, end: usize, role: &str) -> Child {
    Command::new("ip")
        .args(["netns", "exec", &net.names[end], "python3", "-c", PROGRAM, role])
        .args([PORT.to_string(), N_CONNECTIONS.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("ip starts")
}

/// Bytes of one direction of a connection, by the distance of their sequence number from the first.
#[derive(Default)]
struct Stream {
    first: u32,
    bytes: Vec<Option<u8>>,
    carried: Vec<bool>,
    n_repeated: usize,
    n_repeated_bytes: usize,
}

impl Stream {
    fn at(&self, sequence: u32) -> usize {
        sequence.wrapping_sub(self.first) as usize
    }
}

/// What one direction is known by: the ports of sender and receiver.
type Way = (u16, u16);

/// What passed one end's cable.
fn carried(recorded: &Recorded, netns: &str) -> BTreeMap<Way, Stream> {
    let mut ids = Vec::new();
    for batch in batches(&recorded.path, &afterpath_formats::table::interfaces::TABLE) {
        let rows = afterpath_formats::table::interfaces::rows(&batch);
        let here = rows.into_iter().filter(|row| row.netns.as_deref() == Some(netns));
        ids.extend(here.filter(|row| row.name == "veth0").map(|row| row.interface_id));
    }
    let mut streams: BTreeMap<Way, Stream> = BTreeMap::new();
    let mut packets = Vec::new();
    for batch in batches(&recorded.path, &packets::TABLE) {
        let u32s = |name: &str| {
            batch.column_by_name(name).expect(name).as_primitive::<UInt32Type>().clone()
        };
        let u16s = |name: &str| {
            batch.column_by_name(name).expect(name).as_primitive::<UInt16Type>().clone()
        };
        let times = batch.column_by_name("time_ns").expect("times").as_primitive::<Int64Type>();
        let (id, sequence, length) =
            (u32s("interface_id"), u32s("sequence"), u32s("payload_length"));
        let offset = u32s("payload_offset");
        let flags = batch.column_by_name("tcp_flags").expect("flags");
        let flags =
            arrow::compute::cast(flags, &arrow::datatypes::DataType::UInt32).expect("numbers");
        let flags = flags.as_primitive::<UInt32Type>();
        let (from, to) = (u16s("source_port"), u16s("destination_port"));
        let frames = batch.column_by_name("frame").expect("frames").as_binary::<i32>();
        for row in 0..batch.num_rows() {
            let is_tcp = sequence.is_valid(row) && ids.contains(&id.value(row));
            if is_tcp && [from.value(row), to.value(row)].contains(&PORT) {
                let payload = &frames.value(row)[offset.value(row) as usize..];
                packets.push((
                    times.value(row),
                    (from.value(row), to.value(row)),
                    (sequence.value(row), flags.value(row) & 2 != 0),
                    length.value(row) as usize,
                    payload.to_vec(),
                ));
            }
        }
    }
    packets.sort();
    for (_, way, (sequence, is_first), length, payload) in packets {
        let stream = streams.entry(way).or_default();
        if is_first {
            stream.first = sequence.wrapping_add(1);
            continue;
        }
        let at = stream.at(sequence);
        if length == 0 || at > 1 << 30 {
            continue;
        }
        let end = at + length;
        let carried = stream.carried.get(at..end.min(stream.carried.len())).unwrap_or_default();
        let n_again = carried.iter().filter(|carried| **carried).count();
        stream.n_repeated += usize::from(n_again > 0);
        stream.n_repeated_bytes += n_again;
        stream.bytes.resize(stream.bytes.len().max(end), None);
        stream.carried.resize(stream.carried.len().max(end), false);
        stream.carried[at..end].fill(true);
        for (known, byte) in stream.bytes[at..].iter_mut().zip(payload) {
            *known = Some(byte);
        }
    }
    streams
}

#[test]
fn events_are_the_packets_bytes_over_a_cable_that_loses() {
    if !can_record("sockets", "tiling against packets") || !can_record("packets", "the same") {
        return;
    }
    let net = Net::new("tile");
    for end in [0, 1] {
        let lossy = "-A INPUT -p tcp -m statistic --mode random --probability 0.03 -j DROP";
        let iptables = Command::new("ip")
            .args(["netns", "exec", &net.names[end], "iptables"])
            .args(lossy.split(' '))
            .status();
        assert!(iptables.expect("iptables starts").success());
    }
    let port = PORT.to_string();
    let recorder = Recorder::start(&[
        "--probes",
        "sockets,packets",
        "--payload",
        "raw",
        "--payload-bytes",
        "4096",
        "--port",
        &port,
    ]);
    let mut server = python(&net, 1, "server");
    let mut said = std::io::BufReader::new(server.stdout.take().expect("piped"));
    std::io::BufRead::read_line(&mut said, &mut String::new()).expect("it opens");
    let mut client = python(&net, 0, "client");
    assert!(client.wait().expect("it ends").success());
    assert!(server.wait().expect("it ends").success());
    net.until_all_are_closed(PORT);
    let recorded = recorder.stop();
    // A recorder that waits for a processor says so, and loses nothing as long as its rings hold: that all is there shows below.
    let mut losses = recorded.losses();
    losses.retain(|loss| loss.cause != "late-drain");
    assert_eq!(losses, [], "nothing is lost");
    let cables = [carried(&recorded, &net.names[0]), carried(&recorded, &net.names[1])];
    let n_repeated: usize = cables.iter().flat_map(BTreeMap::values).map(|s| s.n_repeated).sum();
    assert!(n_repeated > 20, "only {n_repeated} retransmissions");
    let ends: BTreeMap<i64, (u16, u16)> = recorded
        .sockets()
        .iter()
        .filter_map(|row| Some((row.socket_id, (row.local?.port(), row.remote?.port()))))
        .collect();
    let mut moved: BTreeMap<(usize, Way), Vec<bool>> = BTreeMap::new();
    let (mut n_events, mut n_peeks, mut n_fins) = (0, 0, 0);
    recorded.each_event(|event| {
        let (Some(id), Some(direction), Some(result)) =
            (event.socket_id, event.direction, event.result.filter(|moved| *moved > 0))
        else {
            return;
        };
        // Pipes and eventfds of threads that touch sockets have inode numbers, too.
        if event.kind != "tcp" {
            return;
        }
        n_events += 1;
        let (local, remote) = ends[&id];
        let cable = usize::from(local == PORT);
        let way = if direction == OUTBOUND { (local, remote) } else { (remote, local) };
        let stream = &cables[cable][&way];
        let before = stream.at(event.sequence_before.expect("a number"));
        let kept = event.bytes.expect("raw bytes");
        for (at, byte) in (before..).zip(kept) {
            assert!(stream.carried[at], "byte {at} was in no packet: {event:?}");
            // Frames are cut behind their first kilobyte.
            assert!(stream.bytes[at].is_none_or(|carried| carried == *byte), "byte {at}");
        }
        match event.mark {
            Some("peek") => n_peeks += 1,
            None | Some("fin") => {
                n_fins += usize::from(event.mark.is_some());
                let all =
                    moved.entry((cable, way)).or_insert_with(|| vec![false; stream.carried.len()]);
                let range = before..before + result as usize;
                assert!(
                    stream.carried[range.clone()].iter().all(|c| *c),
                    "in no packet: {event:?}"
                );
                assert!(!all[range.clone()].contains(&true), "moved twice: {event:?}");
                all[range].fill(true);
            }
            mark => panic!("{mark:?} on a stream with one reader and one writer"),
        }
        assert!(direction == OUTBOUND || direction == INBOUND);
    });
    assert_eq!(moved.len(), 4 * N_CONNECTIONS);
    for ((cable, way), all) in &moved {
        assert!(
            all.iter().all(|moved| *moved),
            "cable {cable}, {way:?}: bytes that no event moved"
        );
        assert_eq!(all.len(), cables[*cable][way].carried.len());
    }
    let ended = recorded.tcp_info();
    assert_eq!(ended.len(), 2 * N_CONNECTIONS, "each end of each connection");
    for row in ended {
        let (local, remote) = ends[&row.socket_id];
        let cable = &cables[usize::from(local == PORT)];
        let (sent, received) = (&cable[&(local, remote)], &cable[&(remote, local)]);
        assert_eq!(row.bytes_retransmitted, sent.n_repeated_bytes as i64, "{row:?}");
        assert_eq!(row.bytes_sent, (sent.carried.len() + sent.n_repeated_bytes) as i64, "{row:?}");
        assert_eq!(row.bytes_received, received.carried.len() as i64 + 1, "{row:?}");
        // What was received by then may be read later.
        assert_eq!((row.unacknowledged, row.error), (0, None), "{row:?}");
    }
    assert!(n_events >= 10_000 && n_peeks > 100, "{n_events} events, {n_peeks} peeks");
    // Now and then the last byte fills a segment that is sent at once.
    assert!(n_fins >= N_CONNECTIONS, "{n_fins} last bytes read with the end of their stream");
}
