//! What tcptrace says of a capture's flows, from its comma-separated long form. It never reads the form made for people.

use crate::ours::{Connection, Direction, FlowMetrics};
use afterpath_tests::tool;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// Packets, bytes (repeated ones included) and retransmissions by connection.
pub(crate) fn flows(capture: &Path) -> BTreeMap<Connection, FlowMetrics> {
    let mut command = Command::new("tcptrace");
    let text = tool::output(command.args(["-n", "-l", "--csv"]).arg(capture)).expect("tcptrace");
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let header = lines.find(|line| line.contains("host_a")).expect("a header");
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    lines.filter(|line| line.contains(',')).map(|line| flow(&names, line)).collect()
}

fn flow(names: &[&str], line: &str) -> (Connection, FlowMetrics) {
    let values: Vec<&str> = line.split(',').map(str::trim).collect();
    let value = |name: &str| {
        let at = names.iter().position(|n| *n == name);
        values[at.unwrap_or_else(|| panic!("no column {name}"))]
    };
    let number = |name: String| value(&name).parse::<u64>().expect("a number");
    let direction = |way: &str| Direction {
        packets: number(format!("total_packets_{way}")),
        payload_bytes: number(format!("actual_data_bytes_{way}")),
        retransmissions: number(format!("rexmt_data_pkts_{way}")),
    };
    let end = |which: &str| {
        let address: IpAddr = value(&format!("host_{which}")).parse().expect("an address");
        SocketAddr::new(address, value(&format!("port_{which}")).parse().expect("a port"))
    };
    let directions = [direction("a2b"), direction("b2a")];
    ((end("a"), end("b")), FlowMetrics { directions, round_trip_ns: None })
}
