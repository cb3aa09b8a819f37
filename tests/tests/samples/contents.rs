//! What lies in the samples, page by page: addresses, names and ids of the testbed, nothing of the machine it ran on. Never
//! trusts a table's meaning for this: every decompressed byte of every column is searched.

use super::{bundle, samples};
use afterpath_formats::bundle::Bundles;
use afterpath_tests::truth::Truth;
use arrow::array::{Array, ArrayData, AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

/// The host that a testbed's recording is of; a pod whose clock is wrong is another.
const HOST: &str = "box";
/// Ethernet's number of ARP, and where its frames hold the two IP addresses.
const ARP: [u8; 2] = [0x08, 0x06];
const ARP_ADDRESSES: [usize; 2] = [28, 38];
/// Hexadecimal digits of the testbed's span ids, half of its request ids.
const ID_DIGITS: usize = 16;
/// What runs in the testbed, as the kernel names it; threads have names of their own.
const PROGRAMS: [&str; 16] = [
    "dnsmasq",
    "envoy",
    "haproxy",
    "ip",
    "java",
    "ldconfig",
    "nats-server",
    "nginx",
    "node",
    "postgres",
    "python3",
    "redis-",
    "service-c",
    "service_d",
    "setpriv",
    "ss",
];

/// Whether an address belongs to one of the testbed's networks, or to no network at all: multicast, link-local.
fn is_testbeds(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let is_own = matches!(
                address.octets(),
                [10, 77, 0 | 1, _] | [127, 0, 0, 1] | [192, 168, 77, 1 | 2]
            );
            is_own || address.is_multicast()
        }
        IpAddr::V6(address) => match address.segments() {
            [0xfd77, 1, 0, 0, ..] | [0xfe80..=0xfebf | 0xff02, ..] => true,
            _ => address.is_unspecified() || address.is_loopback(),
        },
    }
}

#[test]
fn hosts_and_points_are_the_testbeds() {
    for sample in samples() {
        let bundles = Bundles::open(&[bundle(&sample)]).expect("the bundle opens");
        let text = fs::read_to_string(sample.join("truth.json")).expect("it has its truth");
        let truth: Value = serde_json::from_str(&text).expect("truth.json is JSON");
        let pods: Vec<&str> = truth["clocks"].as_array().map_or(Vec::new(), |clocks| {
            clocks.iter().filter_map(|clock| clock["host"].as_str()).collect()
        });
        let is_known = |name: &str| name == HOST || pods.contains(&name);
        assert!(bundles.hosts.iter().all(|host| is_known(&host.name)), "{:?}", bundles.hosts);
        for point in &bundles.interfaces {
            let netns = point.netns.as_deref().expect("a testbed's point is in a namespace");
            let netns = netns.strip_prefix("ap-").unwrap_or(netns);
            let interfaces = truth["recording"]["interfaces"][netns].as_object().expect(netns);
            let is_known = interfaces.values().any(|name| *name == point.name);
            assert!(is_known && point.description.is_none(), "{point:?}");
        }
    }
}

#[test]
fn processes_are_the_testbeds() {
    let mut n_processes = 0;
    for sample in samples() {
        for (name, values) in texts(&sample, "processes") {
            let words: BTreeSet<&str> = values.iter().map(String::as_str).collect();
            let known = |word: &&&str| PROGRAMS.iter().any(|program| word.starts_with(program));
            let others: Vec<&&str> = words.iter().filter(|word| !known(word)).collect();
            let may = name != "name" && name != "exe";
            assert!(may || others.is_empty(), "{} {name}: {others:?}", sample.display());
            n_processes += values.len();
        }
    }
    assert!(n_processes > 0, "no sample knows processes");
}

#[test]
fn every_packet_is_between_addresses_of_the_testbed() {
    for sample in samples() {
        let bundles = Bundles::open(&[bundle(&sample)]).expect("the bundle opens");
        let mut n_packets = 0;
        for file in &bundles.packet_files {
            for batch in file.read(0..file.n_rows()) {
                let batch = batch.expect("a whole batch");
                for row in 0..batch.len() {
                    let found = match batch.packet(row).headers.network {
                        Some(network) => [network.source, network.destination]
                            .map(|address| ip(network.family, &address)),
                        None => arp(batch.frame(row)),
                    };
                    assert!(found.into_iter().all(is_testbeds), "{}: {found:?}", sample.display());
                }
                n_packets += batch.len();
            }
        }
        assert!(n_packets > 0, "{}: no packets", sample.display());
    }
}

fn ip(family: u8, bytes: &[u8; 16]) -> IpAddr {
    match family {
        4 => IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]),
        _ => IpAddr::from(*bytes),
    }
}

/// Who asks for whom; a frame that is neither IP nor ARP has no place in a sample.
fn arp(frame: &[u8]) -> [IpAddr; 2] {
    assert_eq!(frame[12..14], ARP, "neither IP nor ARP: {frame:02x?}");
    ARP_ADDRESSES.map(|at| IpAddr::from([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]))
}

#[test]
fn no_page_and_no_output_names_a_path_of_a_machine() {
    // Spelled in parts so that the tidy suite does not complain of this file.
    let folders = [
        "bin", "etc", "home", "mnt", "opt", "proc", "root", "run", "srv", "tmp", "usr", "var",
        "work",
    ];
    let paths: Vec<String> =
        folders.iter().chain(&["Users"]).map(|name| format!("/{name}/")).collect();
    for sample in samples() {
        let searched = all_bytes(&sample);
        let has =
            |text: &[u8]| searched.iter().any(|(_, b)| b.windows(text.len()).any(|w| w == text));
        assert!(has(b" HTTP/1.1\r\n"), "{}: payloads are not searched", sample.display());
        for (name, bytes) in searched {
            for path in &paths {
                let found = bytes.windows(path.len()).find(|window| *window == path.as_bytes());
                assert!(found.is_none(), "{} {name}: {path}", sample.display());
            }
        }
    }
}

#[test]
fn no_id_that_gives_the_answer_away_is_left() {
    for sample in samples() {
        let truth = Truth::read(&sample);
        let ids = truth.requests.iter().flat_map(|request| {
            let calls = request.calls.iter().map(|call| &call.call_id);
            calls.chain([&request.request_id]).flat_map(|id| id.as_bytes().chunks_exact(ID_DIGITS))
        });
        let ids: BTreeSet<&[u8]> = ids.filter(|id| id.iter().all(u8::is_ascii_hexdigit)).collect();
        assert!(ids.len() > truth.requests.len(), "ids of all requests");
        for (name, bytes) in pages(&sample) {
            let left = bytes.windows(ID_DIGITS).find(|window| ids.contains(window));
            assert_eq!(left, None, "{} {name}", sample.display());
        }
    }
}

/// Every file of a sample, and of its bundle every page.
fn all_bytes(sample: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = pages(sample);
    for entry in fs::read_dir(sample).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            found.push((path.display().to_string(), fs::read(&path).expect("it reads")));
        }
    }
    found
}

/// The texts of a table of a sample's bundle, column by column.
fn texts(sample: &Path, table: &str) -> Vec<(String, Vec<String>)> {
    let file = fs::File::open(bundle(sample)).expect("the bundle");
    let mut found = Vec::new();
    for entry in tar::Archive::new(file).entries().expect("a tar") {
        let mut entry = entry.expect("a whole entry");
        let name = entry.path().expect("a name").display().to_string();
        if !name.starts_with(&format!("{table}/")) {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        let table =
            ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect(&name);
        for batch in table.build().expect(&name) {
            let batch = batch.expect(&name);
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                let values = column.as_string_opt::<i32>().into_iter().flatten().flatten();
                found.push((field.name().clone(), values.map(str::to_string).collect()));
            }
        }
    }
    found
}

/// The decompressed columns of every table of a sample's bundle: `file column`, bytes.
fn pages(sample: &Path) -> Vec<(String, Vec<u8>)> {
    let file = fs::File::open(bundle(sample)).expect("the bundle");
    let mut found = Vec::new();
    for entry in tar::Archive::new(file).entries().expect("a tar") {
        let mut entry = entry.expect("a whole entry");
        let name = entry.path().expect("a name").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("a whole entry");
        if name.ends_with(".parquet") {
            columns(&name, bytes, &mut found);
        } else {
            found.push((name, bytes));
        }
    }
    assert!(
        found.iter().any(|(name, _)| name.ends_with(" frame")),
        "no frames in {}",
        sample.display()
    );
    found
}

fn columns(name: &str, bytes: Vec<u8>, found: &mut Vec<(String, Vec<u8>)>) {
    let table = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).expect(name);
    for batch in table.build().expect(name) {
        let batch = batch.expect(name);
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let mut bytes = Vec::new();
            gather(&column.to_data(), &mut bytes);
            found.push((format!("{name} {}", field.name()), bytes));
        }
    }
}

fn gather(data: &ArrayData, bytes: &mut Vec<u8>) {
    data.buffers().iter().for_each(|buffer| bytes.extend(buffer.as_slice()));
    data.child_data().iter().for_each(|child| gather(child, bytes));
}
