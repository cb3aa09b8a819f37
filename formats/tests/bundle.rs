//! Captures → bundle → packets again: what goes in comes out, in order, whatever the limits and the threads.

use afterpath_formats::bundle::{Bundles, pack, verify};
use afterpath_formats::frame::{self, LinkType};
use afterpath_formats::import::{Limits, import, import_within};
use afterpath_formats::packet::flow_hash;
use std::fs;

mod made;
use made::{Frame, Scratch, frames, pcap, plan};

#[test]
fn packets_come_back_sorted_and_equal() {
    let scratch = Scratch::new();
    let frames = frames(20_000, 7);
    let file = scratch.write("a.pcap", &pcap(&frames));
    let output = scratch.path("a.afterpath");
    let summary = import(&plan(&[file], &output), &|_| ()).expect("importable");
    assert_eq!((summary.n_packets, summary.warnings.len()), (20_000, 0));
    let bundles = Bundles::open(std::slice::from_ref(&output)).expect("openable");
    assert_eq!(bundles.warnings, []);
    check(&bundles, &frames);
    let found = verify(&output).expect("verifiable");
    assert_eq!((found.problems.as_slice(), found.notes.as_slice()), (&[][..], &[][..]));
    assert!(found.is_whole());
    let packed = scratch.path("a.afterpath.tar");
    pack(&output, &packed, false).expect("packable");
    let bundles = Bundles::open(&[packed]).expect("openable");
    assert_eq!(bundles.warnings, []);
    check(&bundles, &frames);
}

fn check(bundles: &Bundles, frames: &[Frame]) {
    let mut order = Vec::new();
    let file = &bundles.packet_files[0];
    for rows in file.flow_cuts(1000).expect("cuts") {
        let mut reader = file.read(rows);
        while let Some(batch) = reader.next() {
            let batch = batch.expect("whole");
            for row in 0..batch.len() {
                let packet = batch.packet(row);
                let frame = &frames[packet.source_row as usize];
                assert_eq!(batch.frame(row), frame.bytes);
                let headers =
                    frame::decode(LinkType::Ethernet, &frame.bytes, frame.original_length);
                assert_eq!(packet.headers, headers);
                assert_eq!(packet.flow_hash, flow_hash(&headers));
                assert_eq!(packet.time_ns, frame.time_ns);
                assert_eq!(packet.payload, headers.payload(&frame.bytes));
                assert_eq!(packet.original_length, frame.original_length);
                order.push((packet.flow_hash, packet.time_ns, packet.source_row));
            }
        }
    }
    assert_eq!(order.len(), frames.len());
    assert!(order.is_sorted());
}

#[test]
fn neither_runs_nor_threads_change_a_byte() {
    let scratch = Scratch::new();
    let file = scratch.write("a.pcap", &pcap(&frames(30_000, 3)));
    let mut seen = Vec::new();
    for (n_threads, run_bytes) in
        [(1, usize::MAX), (2, usize::MAX), (1, 300_000), (2, 100_000), (2, 5_000)]
    {
        let output = scratch.path(&format!("{n_threads}-{run_bytes}.afterpath"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("a pool");
        let limits = Limits { run_bytes, chunk_bytes: 20_000 };
        let plan = plan(std::slice::from_ref(&file), &output);
        let summary = pool.install(|| import_within(&plan, &limits, &|_| ())).expect("importable");
        assert_eq!(summary.n_spilled_runs > 1, run_bytes != usize::MAX);
        let packed = scratch.path("x.tar");
        pack(&output, &packed, true).expect("packable");
        seen.push(fs::read(packed).expect("readable"));
    }
    assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
}
