//! The specification says what the code does: its tables and its test vectors.

use afterpath_formats::frame::{Headers, Network, Transport};
use afterpath_formats::packet::flow_hash;
use afterpath_formats::table::{TABLES, markdown};
use std::net::IpAddr;

const README: &str = include_str!("../README.md");

#[test]
fn tables_are_those_of_the_code() {
    let begin = README.find("### hosts\n").expect("the tables");
    let written = &README[begin..];
    let expected: String = TABLES.iter().map(|table| markdown(table)).collect();
    assert_eq!(
        written.trim_end(),
        expected.trim_end(),
        "run the example `tables` and paste what it prints"
    );
}

#[test]
fn flow_hashes_are_those_written() {
    let (_, section) = README.split_once("## Flow hash").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next section");
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with('|') && line.contains(|c: char| c.is_ascii_digit()))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 4);
    rows.iter().for_each(|row| check(row));
}

fn check(row: &[&str]) {
    let [source, source_port, destination, destination_port, protocol, hash] = row else {
        panic!("{row:?}");
    };
    let number = |text: &str| text.parse::<u16>().expect("a number");
    let ports = (number(source_port), number(destination_port));
    let network = Network {
        family: if source.contains(':') { 6 } else { 4 },
        source: address(source),
        destination: address(destination),
        protocol: number(protocol) as u8,
        ttl: 64,
        id: None,
        fragment: None,
    };
    let transport = Transport::Udp { source_port: ports.0, destination_port: ports.1 };
    let headers = Headers { network: Some(network), transport: Some(transport), ..Headers::NONE };
    assert_eq!(flow_hash(&headers).to_string(), *hash, "{row:?}");
}

fn address(text: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    match text.parse().expect("an address") {
        IpAddr::V4(address) => bytes[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => bytes = address.octets(),
    }
    bytes
}
