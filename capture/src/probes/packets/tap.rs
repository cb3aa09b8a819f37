//! One namespace's packet socket, and what becomes of its frames. Never keeps a frame.

use super::chosen::{Chosen, of_interfaces};
use super::points::{LOOPBACK, Points};
use crate::broker::Broker;
use crate::kernel::{Instruction, Namespace, PacketRing, RingFrame, RingLosses};
use crate::payload::Payload;
use crate::settings::Sample;
use afterpath_formats::frame::{self, Direction};
use afterpath_formats::table::recorded_packets::{RecordedFrame, RecordedPackets};
use std::io;

/// `PACKET_OUTGOING` (include/uapi/linux/if_packet.h).
const OUTGOING: u8 = 4;
/// Before the tag stand two MAC addresses.
const TAG_AT: usize = 12;
/// Interfaces are looked at again after so many seconds, or when an unknown one shows.
const LOOK_AGAIN_SECONDS: u32 = 10;

/// A namespace being recorded.
pub(super) struct Tap {
    inode: u32,
    pub(super) namespace: Namespace,
    ring: PacketRing,
    filter: Vec<Instruction>,
    /// The interfaces that frames come from, in order, where not all do.
    interfaces: Option<Vec<u32>>,
    seconds: u32,
    counted: Counted,
}

/// What a tap's socket counted since it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counted {
    /// Frames that passed the filter, lost ones too.
    pub(super) n_frames: u64,
    pub(super) n_dropped: u64,
    /// Frames taken out of the ring.
    pub(super) n_taken: u64,
}

/// Frames → rows.
pub(super) struct Decoder {
    pub(super) points: Points,
    pub(super) rows: RecordedPackets,
    payload: Payload,
    sample: Option<Sample>,
    next_row: i64,
    frame: Vec<u8>,
    /// Frames that are recorded elsewhere or shall not be: the second sight on loopback, those outside of the sample or of interfaces
    /// that are not wanted.
    pub(super) n_skipped: u64,
    /// An interface that is not known yet.
    is_new: bool,
}

impl Tap {
    /// Makes a ring of a socket that the broker opened there. Where names of interfaces decide, it keeps nothing before the first look
    /// at them.
    pub(super) fn open(
        inode: u32,
        namespace: Namespace,
        broker: &Broker,
        n_bytes: usize,
        filter: &[Instruction],
        chosen: &Chosen,
    ) -> io::Result<Tap> {
        let interfaces = chosen.numbers(&[]);
        let first = of_interfaces(interfaces.as_deref(), filter);
        Ok(Tap {
            inode,
            namespace,
            ring: PacketRing::open(broker.packet_socket(inode)?, n_bytes, &first)?,
            filter: filter.to_vec(),
            interfaces,
            seconds: LOOK_AGAIN_SECONDS,
            counted: Counted::default(),
        })
    }

    pub(super) fn drain(&mut self, decoder: &mut Decoder) {
        let Tap { inode, ring, counted, interfaces, .. } = self;
        ring.drain(|frame| {
            counted.n_taken += 1;
            let is_wanted = |numbers: &Vec<u32>| numbers.binary_search(&frame.ifindex).is_ok();
            if interfaces.as_ref().is_none_or(is_wanted) {
                decoder.frame(*inode, &frame);
            } else {
                decoder.n_skipped += 1;
            }
        });
        if std::mem::take(&mut decoder.is_new) {
            self.seconds = LOOK_AGAIN_SECONDS;
        }
    }

    /// Looks at the interfaces when it is time: each second where their names decide, since what is not wanted yet shows no frame.
    pub(super) fn each_second(
        &mut self,
        points: &mut Points,
        broker: &Broker,
        chosen: &Chosen,
        now_ns: i64,
    ) {
        self.seconds += 1;
        if self.seconds < LOOK_AGAIN_SECONDS && self.interfaces.is_none() {
            return;
        }
        self.seconds = 0;
        // A namespace that just went is seen as gone by the next look at all of them.
        if let Ok(links) = broker.links(self.inode) {
            points.learn(self.inode, &self.namespace, &links, now_ns);
            let numbers = chosen.numbers(&links);
            if numbers != self.interfaces {
                self.ring.filter(&of_interfaces(numbers.as_deref(), &self.filter));
                self.interfaces = numbers;
            }
        }
    }

    /// The sums by now.
    pub(super) fn counted(&mut self) -> Counted {
        let RingLosses { n_frames, n_dropped } = self.ring.losses();
        self.counted.n_frames += u64::from(n_frames);
        self.counted.n_dropped += u64::from(n_dropped);
        self.counted
    }

    pub(super) fn stop(&self) {
        self.ring.stop();
    }
}

impl Decoder {
    pub(super) fn new(snap_length: u32, payload: Payload, sample: Option<Sample>) -> Decoder {
        Decoder {
            points: Points::new(snap_length),
            rows: RecordedPackets::default(),
            payload,
            sample,
            next_row: 0,
            frame: Vec::new(),
            n_skipped: 0,
            is_new: false,
        }
    }

    fn frame(&mut self, inode: u32, frame: &RingFrame<'_>) {
        let is_outgoing = frame.packet_type == OUTGOING;
        let is_loopback = frame.hardware == LOOPBACK;
        // On loopback every frame is seen twice, as libpcap knows.
        let is_second_sight = is_loopback && is_outgoing;
        if is_second_sight || self.sample.is_some_and(|sample| !sample.takes(frame.time_ns)) {
            self.n_skipped += 1;
            return;
        }
        let n_points = self.points.len();
        let (interface_id, link) = self.points.id(inode, frame.ifindex, frame.hardware);
        self.is_new |= self.points.len() > n_points;
        self.frame.clear();
        let original_length = match frame.vlan.filter(|_| frame.bytes.len() >= TAG_AT) {
            Some((protocol, control)) => {
                self.frame.extend_from_slice(&frame.bytes[..TAG_AT]);
                self.frame.extend_from_slice(&protocol.to_be_bytes());
                self.frame.extend_from_slice(&control.to_be_bytes());
                self.frame.extend_from_slice(&frame.bytes[TAG_AT..]);
                frame.original_length + 4
            }
            None => {
                self.frame.extend_from_slice(frame.bytes);
                frame.original_length
            }
        };
        let mut headers = frame::decode(link, &self.frame, original_length);
        headers.direction = match is_outgoing {
            _ if is_loopback => None,
            true => Some(Direction::Outbound),
            false => Some(Direction::Inbound),
        };
        self.payload.of_frame(interface_id, &headers, &mut self.frame);
        self.rows.push(&RecordedFrame {
            time_ns: frame.time_ns,
            source_row: self.next_row,
            interface_id,
            original_length,
            headers,
            frame: &self.frame,
        });
        self.next_row += 1;
    }
}
