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
    let text =
        tool::output(command.args(["-n", "-l", "-r", "--csv"]).arg(capture)).expect("tcptrace");
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
        syn_retransmissions: 0,
        late: number(format!("outoforder_pkts_{way}")),
        zero_windows: number(format!("zero_win_adv_{way}")),
        resets: number(format!("resets_sent_{way}")),
    };
    let milliseconds = |name: String| value(&name).parse::<f64>().expect("milliseconds");
    let shaken = |way: &str| {
        let ms = milliseconds(format!("RTT_from_3WHS_{way}"));
        (ms > 0.0).then_some((ms * 1e6) as i64)
    };
    let samples =
        |way: &str| (number(format!("RTT_samples_{way}")), milliseconds(format!("RTT_max_{way}")));
    let end = |which: &str| {
        let address: IpAddr = value(&format!("host_{which}")).parse().expect("an address");
        SocketAddr::new(address, value(&format!("port_{which}")).parse().expect("a port"))
    };
    let directions = [direction("a2b"), direction("b2a")];
    let metrics = FlowMetrics {
        directions,
        round_trips_ns: [shaken("a2b"), shaken("b2a")],
        samples: [samples("a2b"), samples("b2a")],
        ..FlowMetrics::default()
    };
    ((end("a"), end("b")), metrics)
}

/// tcptrace writes tenths of milliseconds. It samples ACKs that carry data as well, and those that come later: ours are some of its.
pub(crate) fn check_round_trips(connection: &Connection, ours: &FlowMetrics, theirs: &FlowMetrics) {
    const TENTH_NS: i64 = 100_000;
    for side in [0, 1] {
        if let (Some(a), Some(b)) = (ours.round_trips_ns[side], theirs.round_trips_ns[side]) {
            assert!((a - b).abs() <= TENTH_NS, "{connection:?}: handshake {a} {b}");
        }
        let (count, longest_ms) = theirs.samples[side];
        let own = ours.acknowledged[side];
        assert!(own.count <= count, "{connection:?}: {} of {count} samples", own.count);
        let longest_ns = (longest_ms * 1e6) as i64 + TENTH_NS;
        assert!(own.max_ns <= longest_ns, "{connection:?}: {} of {longest_ns} ns", own.max_ns);
    }
}
