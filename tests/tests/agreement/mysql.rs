//! MariaDB asked by two makers' clients: every command, its four times and its error as tshark tells them, and the same commands as the server's own
//! log. Connections that are compressed or encrypted are left out: there we say nothing, on purpose.
//!
//! tshark does not say where a response ends: since these clients wait for each, it reaches from the first segment behind a command to
//! the last before the next. It takes the contents of a file for a command, whose code is then the file's first letter.

use crate::{ours, tshark};
use afterpath::analysis::Analysis;
use afterpath::call::{Call, CallState};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SERVER: u16 = 3306;
const CHANGE_USER: u8 = 17;
const TOLERANCE_NS: i64 = 1_000;

/// A command as tshark tells it.
#[derive(Debug, Default)]
struct Command {
    code: u8,
    at_ns: i64,
    answered_ns: Option<[i64; 2]>,
    error: String,
}

/// What the commands' codes are to us, where their text does not tell.
fn name(code: u8) -> Option<&'static str> {
    let names = [
        (1, "QUIT"),
        (2, "INIT_DB"),
        (9, "STATISTICS"),
        (14, "PING"),
        (17, "CHANGE_USER"),
        (22, "PREPARE"),
        (25, "CLOSE"),
        (26, "RESET"),
        (31, "RESET_CONNECTION"),
    ];
    names.iter().find(|(known, _)| *known == code).map(|(_, name)| *name)
}

/// Commands by client port.
fn theirs(capture: &Path) -> BTreeMap<u16, Vec<Command>> {
    let mut by_port: BTreeMap<u16, Vec<Command>> = BTreeMap::new();
    let (mut at_ns, mut ports) = (0, [0_u16; 2]);
    for (name, value) in tshark::fields_of(capture, "tcp.len > 0", &[(SERVER, "mysql")]) {
        match name.as_str() {
            "timestamp" => at_ns = value.parse().expect("a time"),
            "tcp.srcport" => ports[0] = value.parse().expect("a port"),
            "tcp.dstport" => ports[1] = value.parse().expect("a port"),
            "tcp.len" if ports[0] == SERVER => {
                if let Some(last) = by_port.get_mut(&ports[1]).and_then(|all| all.last_mut()) {
                    last.answered_ns =
                        Some([last.answered_ns.map_or(at_ns, |[first, _]| first), at_ns]);
                }
            }
            "mysql.command" => {
                let code = value.parse().expect("a code");
                // The first letter of the file that LOAD DATA LOCAL asked for.
                if code == b'f' {
                    continue;
                }
                by_port.entry(ports[0]).or_default().push(Command {
                    code,
                    at_ns,
                    ..Command::default()
                });
            }
            "mysql.error_code" => {
                if let Some(last) = by_port.get_mut(&ports[1]).and_then(|all| all.last_mut()) {
                    last.error = value;
                }
            }
            _ => {}
        }
    }
    by_port
}

fn agrees(ours: &Call, theirs: &Command) {
    let t = ours.times();
    let close = |ours: Option<i64>, theirs: i64| {
        let ours = ours.expect("known");
        assert!((ours - theirs).abs() < TOLERANCE_NS, "{ours}: {theirs:?}");
    };
    if let Some(name) = name(theirs.code) {
        assert_eq!(ours.request_type, name, "{theirs:?}");
    }
    close(t.request_first, theirs.at_ns);
    close(t.request_last, theirs.at_ns);
    if ours.state == CallState::OneWay {
        return;
    }
    let [first, last] = theirs.answered_ns.expect("answered");
    match theirs.code {
        // What the server asks before it answers is none of the answer.
        CHANGE_USER => assert!(t.response_first > Some(first)),
        _ => close(t.response_first, first),
    }
    close(t.response_last, last);
    let status = if theirs.error.is_empty() { "OK" } else { &theirs.error };
    assert_eq!(ours.status, status, "{theirs:?}");
}

/// Lines of the server's log: number of the connection, command.
fn logged(log: &str) -> Vec<(u32, String)> {
    let line = |line: &str| {
        let (head, _) = line.split_once('\t').filter(|_| line.contains('\t'))?;
        let rest =
            if head.is_empty() { line.trim_start() } else { line[head.len()..].trim_start() };
        let (id, rest) = rest.split_once(' ')?;
        let command = rest.split('\t').next()?.trim();
        Some((id.parse().ok()?, command.to_string()))
    };
    log.lines().filter_map(line).collect()
}

/// Compares all commands; how many there were.
pub(super) fn commands_agree(captures: &Path) -> usize {
    let capture = captures.join("mysql.pcap");
    let analysis = ours::analyze(&capture, &captures.join("mysql.afterpath"));
    let is_clear = |port: &u16| {
        let mut calls = analysis.calls.iter().filter(|call| call.client.port == *port);
        calls.all(|call| call.protocol == "mysql")
    };
    let mut theirs = theirs(&capture);
    theirs.retain(|port, _| is_clear(port));
    let mut n = 0;
    for (port, theirs) in &theirs {
        let is_command = |call: &&Call| call.client.port == *port && call.request_type != "LOGIN";
        let ours: Vec<&Call> = analysis.calls.iter().filter(is_command).collect();
        assert_eq!(ours.len(), theirs.len(), "commands of {port}");
        ours.iter().zip(theirs).for_each(|(ours, theirs)| agrees(ours, theirs));
        n += theirs.len();
    }
    log_agrees(captures, &analysis);
    n
}

/// The server's log tells each command with its texts in full.
fn log_agrees(captures: &Path, analysis: &Analysis) {
    let log = std::fs::read_to_string(captures.join("mysql.log")).expect("the server's log");
    let logged = logged(&log);
    // The first two connections are clear; so is the last, the command's.
    let ids: BTreeSet<u32> = logged.iter().map(|(id, _)| *id).filter(|id| *id > 0).collect();
    let count = |what: &str| {
        let of = |id: u32| logged.iter().filter(|(i, c)| *i == id && c == what).count();
        ids.first().map_or(0, |id| of(*id)) + ids.last().map_or(0, |id| of(*id))
    };
    let ports: Vec<u16> = analysis.flows.iter().map(|flow| flow.client.port()).collect();
    let mysql = || analysis.calls.iter().filter(|call| call.protocol == "mysql");
    let ours = |is_it: &dyn Fn(&Call) -> bool| mysql().filter(|call| is_it(call)).count();
    assert!(ports.len() >= 6, "{ports:?}");
    let is_prepared = |call: &Call| call.attributes.iter().any(|(name, _)| name == "prepared");
    assert_eq!(ours(&is_prepared), count("Execute"), "executed");
    assert_eq!(
        ours(&|call| call.request_type == "PREPARE" && call.status == "OK"),
        count("Prepare")
    );
    assert_eq!(ours(&|call| call.request_type == "QUIT"), count("Quit"));
    let is_query = |call: &Call| !call.resource.is_empty() && !is_prepared(call);
    let is_text =
        |call: &Call| !["PREPARE", "RESET", "CLOSE", "INIT_DB"].contains(&&*call.request_type);
    // What CALL runs is logged as another query of its own.
    assert_eq!(ours(&|call| is_query(call) && is_text(call)), count("Query"));
}
