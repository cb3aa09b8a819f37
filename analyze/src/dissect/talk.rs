//! Test conversations: frames of two ends as one point would capture them, to be lost, repeated and reordered at will.

use super::{Dissected, Dissector};
use afterpath_formats::frame::{Headers, Network, Tcp, Transport};
use afterpath_formats::packet::{Packet, flow_hash};

/// A frame that a test owns.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) time_ns: i64,
    pub(crate) headers: Headers,
    pub(crate) payload: Vec<u8>,
}

/// Builds a TCP conversation step by step; every frame comes one microsecond after the one before.
pub(crate) struct Talk {
    pub(crate) frames: Vec<Frame>,
    next: [u32; 2],
    now_ns: i64,
    id: u32,
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

impl Talk {
    /// A conversation with a complete handshake.
    pub(crate) fn open() -> Talk {
        let mut talk = Talk::joined_late();
        talk.next = [0xffff_fff0, 77];
        talk.frame(0, SYN, b"");
        talk.frame(1, SYN | ACK, b"");
        talk.frame(0, ACK, b"");
        talk
    }

    /// A conversation whose handshake was not captured.
    pub(crate) fn joined_late() -> Talk {
        Talk { frames: Vec::new(), next: [1000, 2000], now_ns: 0, id: 0 }
    }

    /// End `from` (0: client) sends `bytes` in one segment.
    pub(crate) fn say(&mut self, from: usize, bytes: &[u8]) -> &mut Talk {
        self.frame(from, ACK, bytes)
    }

    /// End `from` closes.
    pub(crate) fn close(&mut self, from: usize) -> &mut Talk {
        self.frame(from, ACK | FIN, b"")
    }

    /// End `from` resets.
    pub(crate) fn reset(&mut self, from: usize) -> &mut Talk {
        self.frame(from, ACK | RST, b"")
    }

    /// End `from` has no room for more.
    pub(crate) fn say_full(&mut self, from: usize) -> &mut Talk {
        self.say(from, b"");
        if let Some(Transport::Tcp(tcp)) =
            self.frames.last_mut().and_then(|f| f.headers.transport.as_mut())
        {
            tcp.window = 0;
        }
        self
    }

    /// Nothing passes for so long.
    pub(crate) fn wait(&mut self, ns: i64) -> &mut Talk {
        self.now_ns += ns;
        self
    }

    /// The frame at this place is sent again.
    pub(crate) fn again(&mut self, place: usize) -> &mut Talk {
        let mut frame = self.frames[place].clone();
        self.now_ns += 1_000;
        self.id += 1;
        frame.time_ns = self.now_ns;
        if let Some(network) = &mut frame.headers.network {
            network.id = Some(self.id);
        }
        self.frames.push(frame);
        self
    }

    fn frame(&mut self, from: usize, flags: u8, bytes: &[u8]) -> &mut Talk {
        self.now_ns += 1_000;
        self.id += 1;
        let (source, destination) = if from == 0 { (1, 2) } else { (2, 1) };
        let (source_port, destination_port) = if from == 0 { (40_000, 80) } else { (80, 40_000) };
        let address = |last: u8| {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&[10, 0, 0, last]);
            bytes
        };
        let headers = Headers {
            wrappers: [None; 4],
            network: Some(Network {
                family: 4,
                source: address(source),
                destination: address(destination),
                protocol: 6,
                ttl: 64,
                id: Some(self.id),
                fragment: None,
            }),
            transport: Some(Transport::Tcp(Tcp {
                source_port,
                destination_port,
                sequence: self.next[from],
                acknowledgment: self.next[1 - from],
                flags,
                window: 1000,
                timestamp_value: None,
                timestamp_echo: None,
                window_scale: None,
                mss: None,
            })),
            payload_offset: 54,
            payload_length: bytes.len() as u32,
            direction: None,
            interface_index: None,
        };
        self.frames.push(Frame { time_ns: self.now_ns, headers, payload: bytes.to_vec() });
        let length = bytes.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        self.next[from] = self.next[from].wrapping_add(length);
        self
    }
}

/// Dissects frames as one point's capture, in the order given.
pub(crate) fn dissect(frames: &[Frame]) -> Dissected {
    let mut dissector = Dissector::default();
    for (row, frame) in frames.iter().enumerate() {
        dissector.push(&Packet {
            time_ns: frame.time_ns,
            source_row: row as i64,
            interface: 0,
            flow_hash: flow_hash(&frame.headers),
            original_length: 54 + frame.headers.payload_length,
            headers: frame.headers,
            payload: &frame.payload,
        });
    }
    dissector.finish()
}
