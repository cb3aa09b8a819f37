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

/// What the server's log tells of a command: number of the connection, command, its text on one line.
type Logged = (u32, String, String);

fn logged(log: &str) -> Vec<Logged> {
    let entry = |line: &str| -> Option<Logged> {
        let (head, _) = line.split_once('\t')?;
        let (id, rest) = line[head.len()..].trim_start().split_once(' ')?;
        let (command, text) = rest.split_once('\t').unwrap_or((rest, ""));
        Some((id.parse().ok()?, command.trim().to_string(), text.to_string()))
    };
    let mut all: Vec<Logged> = Vec::new();
    // What else the server tells bears its date in full.
    for line in log.lines().filter(|line| !line.starts_with("20")) {
        match (entry(line), all.last_mut()) {
            (Some(entry), _) => all.push(entry),
            (None, Some((.., text))) => *text = format!("{text} {line}"),
            (None, None) => {}
        }
    }
    all
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

/// The server's log tells each command with its texts in full: ours are the same, in the same order, but for literals and comments.
fn log_agrees(captures: &Path, analysis: &Analysis) {
    let log = std::fs::read_to_string(captures.join("mysql.log")).expect("the server's log");
    let logged = logged(&log);
    // The first connection and the last, the command's, are clear and go on after their login.
    let ids: BTreeSet<u32> = logged.iter().map(|(id, ..)| *id).filter(|id| *id > 0).collect();
    let is_clear = |id: &u32| [ids.first(), ids.last()].contains(&Some(id));
    let count = |what: &str| logged.iter().filter(|(id, c, _)| is_clear(id) && c == what).count();
    let mysql = || analysis.calls.iter().filter(|call| call.protocol == "mysql");
    assert_eq!(mysql().filter(|call| call.request_type == "QUIT").count(), count("Quit"));
    let theirs: Vec<&Logged> = logged
        .iter()
        .filter(|(id, command, _)| {
            is_clear(id) && ["Query", "Execute", "Prepare"].contains(&&**command)
        })
        .collect();
    // What could not be prepared is not logged.
    let is_text = |call: &&Call| {
        !["", "RESET", "CLOSE", "INIT_DB", "LOGIN"].contains(&&*call.request_type)
            && !call.resource.is_empty()
            && (call.request_type != "PREPARE" || call.status == "OK")
    };
    let mut ours: Vec<&Call> = mysql().filter(is_text).collect();
    ours.sort_by_key(|call| call.times().request_first);
    assert_eq!(ours.len(), theirs.len(), "texts");
    for (ours, (_, command, text)) in ours.iter().zip(theirs) {
        let is_prepared = ours.attributes.iter().any(|(name, _)| name == "prepared");
        assert_eq!(is_prepared, command == "Execute", "{text}: {ours:?}");
        let text = without_comments(text);
        assert!(is_but_for_literals(&ours.resource, &text), "{text}: {}", ours.resource);
        let first = if command == "Prepare" { "prepare" } else { &text };
        let first = first.split(' ').next().unwrap_or_default();
        assert!(ours.request_type.eq_ignore_ascii_case(first), "{text}: {}", ours.request_type);
    }
}

/// A text of these captures: its one comment ends it, or holds all of it.
fn without_comments(text: &str) -> String {
    let text = text.split(" #").next().unwrap_or_default();
    let conditional = text.strip_prefix("/*!40101").and_then(|text| text.strip_suffix("*/"));
    conditional.unwrap_or(text).trim().trim_end_matches(';').to_string()
}

/// Whether each `?` of ours stands where the text has a number, a quoted text or itself, and all else is equal.
fn is_but_for_literals(ours: &str, text: &str) -> bool {
    let mut rest = text;
    for part in ours.split_inclusive('?') {
        let (same, is_masked) = part.strip_suffix('?').map_or((part, false), |same| (same, true));
        let Some(after) = rest.strip_prefix(same).filter(|_| !same.contains('\'')) else {
            return false;
        };
        rest = if is_masked { behind_literal(after) } else { after };
        if is_masked && rest.len() == after.len() {
            return false;
        }
    }
    rest.is_empty()
}

/// What follows a literal; all, where none begins.
fn behind_literal(text: &str) -> &str {
    if let Some(mut rest) = text.strip_prefix('\'') {
        while let Some((_, after)) = rest.split_once('\'') {
            match after.strip_prefix('\'') {
                Some(quoted) => rest = quoted,
                None => return after,
            }
        }
        return text;
    }
    text.strip_prefix('?').unwrap_or_else(|| text.trim_start_matches(|c: char| c.is_ascii_digit()))
}
