//! How fast are captures read and frames decoded, on one core, beside pcap-parser's streaming reader and etherparse?
//! `cargo bench -p afterpath-formats --bench captures`. Never touches a file: a gigabyte's reading would be the disk's.
#![allow(clippy::print_stdout, reason = "a bench prints its numbers")]

use afterpath_formats::export::pcapng::PcapngWriter;
use afterpath_formats::frame::{LinkType, decode};
use afterpath_formats::import::reader::CaptureReader;
use afterpath_formats::import::source::Source;
use afterpath_formats::record::Record;
use etherparse::{LaxSlicedPacket, PacketBuilder};
use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{PcapError, PcapNGReader};
use std::hint::black_box;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Instant;

const N_RECORDS: usize = 2_000_000;
const TARGET_BYTES: usize = 8 << 20;

fn main() {
    let frame = frame();
    let file: Arc<[u8]> = classic(&frame).into();
    let converted: Arc<[u8]> = pcapng(&file).into();
    let length = frame.len();
    println!(
        "{N_RECORDS} records of {length} bytes; best of five runs, by the CPU time of their thread"
    );
    report("read classic pcap", file.len(), || read(&file));
    report("read pcapng", converted.len(), || read(&converted));
    report("  pcap-parser, streaming", converted.len(), || peer_read(&converted));
    report("write pcapng", converted.len(), || pcapng(&file).len().min(N_RECORDS));
    report("decode Ethernet/IPv4/TCP", N_RECORDS * length, || decode_all(&file, length));
    report("  etherparse LaxSlicedPacket", N_RECORDS * length, || peer_decode(&file, length));
}

/// Prints the best rate of five runs of `run`, which returns how many records it saw.
fn report(what: &str, size_bytes: usize, mut run: impl FnMut() -> usize) {
    let best = (0..5).map(|_| {
        let (start, cpu_start) = (Instant::now(), cpu_seconds());
        assert_eq!(run(), N_RECORDS);
        match (cpu_start, cpu_seconds()) {
            (Some(from), Some(to)) => to - from,
            _ => start.elapsed().as_secs_f64(),
        }
    });
    let seconds = best.fold(f64::MAX, f64::min);
    let (records, megabytes) =
        (N_RECORDS as f64 / seconds / 1e6, size_bytes as f64 / seconds / 1e6);
    println!("{what:32} {records:8.1} M records/s {megabytes:8.0} MB/s");
}

/// What this thread has run, where Linux says so: a shared machine's other work does not count.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

fn frame() -> Vec<u8> {
    let timestamps = etherparse::TcpOptionElement::Timestamp(7, 9);
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, 80, 1_000, 501)
        .ack(2_000)
        .options(&[
            etherparse::TcpOptionElement::Noop,
            etherparse::TcpOptionElement::Noop,
            timestamps,
        ])
        .expect("they fit");
    let mut frame = Vec::new();
    builder.write(&mut frame, &[b'x'; 100]).expect("memory");
    frame
}

fn classic(frame: &[u8]) -> Vec<u8> {
    let mut file = [0xa1b2_3c4du32, 0x0004_0002, 0, 0, 65_535, 1].map(u32::to_le_bytes).concat();
    for n in 0..N_RECORDS as u32 {
        let length = frame.len() as u32;
        let at = file.len();
        file.extend(
            [1_700_000_000 + n / 1_000, n % 1_000, length, length]
                .map(u32::to_le_bytes)
                .as_flattened(),
        );
        file.extend_from_slice(frame);
        // Another sequence number and port each time, so that nothing is predicted from the frame before.
        file[at + 16 + 38..at + 16 + 42].copy_from_slice(&n.to_be_bytes());
        file[at + 16 + 35] = n as u8;
    }
    file
}

fn open(file: &Arc<[u8]>) -> CaptureReader {
    let source = Source::from_reader("bench", Cursor::new(file.clone())).expect("memory");
    CaptureReader::new(source).expect("a capture")
}

fn pcapng(file: &Arc<[u8]>) -> Vec<u8> {
    let mut reader = open(file);
    let mut writer = PcapngWriter::new(Vec::with_capacity(file.len() * 2));
    writer.begin_section().expect("memory");
    writer.declare_interface(&reader.interfaces()[0]).expect("memory");
    while let Some(chunk) = reader.next_chunk(TARGET_BYTES).expect("a whole file") {
        for index in 0..chunk.records.len() {
            let record: Record<'_> = chunk.record(index);
            writer.write_record(&record, 0).expect("memory");
        }
    }
    writer.finish().expect("memory")
}

fn read(file: &Arc<[u8]>) -> usize {
    let mut reader = open(file);
    let mut n_records = 0;
    while let Some(chunk) = reader.next_chunk(TARGET_BYTES).expect("a whole file") {
        n_records += black_box(&chunk.records).len();
    }
    n_records
}

fn peer_read(file: &Arc<[u8]>) -> usize {
    let mut reader = PcapNGReader::new(TARGET_BYTES, Cursor::new(file.clone())).expect("a capture");
    let mut n_blocks = 0;
    loop {
        match reader.next() {
            Ok((offset, block)) => {
                n_blocks += 1;
                black_box(block);
                reader.consume(offset);
            }
            Err(PcapError::Eof) => return n_blocks - 2,
            Err(PcapError::Incomplete(_)) => reader.refill().expect("memory"),
            Err(error) => panic!("{error:?}"),
        }
    }
}

fn decode_all(file: &[u8], length: usize) -> usize {
    let is_tcp = |frame: &&[u8]| {
        black_box(decode(LinkType::Ethernet, black_box(frame), length as u32)).tcp().is_some()
    };
    frames(file, length).filter(is_tcp).count()
}

fn peer_decode(file: &[u8], length: usize) -> usize {
    let is_tcp = |frame: &&[u8]| {
        let sliced = black_box(LaxSlicedPacket::from_ethernet(black_box(frame)));
        sliced.is_ok_and(|sliced| sliced.transport.is_some())
    };
    frames(file, length).filter(is_tcp).count()
}

/// The first thousand frames again and again, so that decoding is measured and not the memory.
fn frames(file: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    let few = &file[24..24 + 1_000 * (16 + length)];
    let round = move || few.chunks_exact(16 + length).map(|record| &record[16..]);
    (0..N_RECORDS / 1_000).flat_map(move |_| round())
}
