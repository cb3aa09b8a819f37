//! Holds our parse of other people's captures against another analyzer's expected parse of them: `AFTERPATH_DATA` names the folder.
//! Prints `not given` without it. Never changes a file there.
//!
//! Theirs tells each segment parsed alone; ours the conversation. A message is equal when type, resource and status are (of SQL: with
//! `?` for whatever stands there in theirs). What only one side tells is printed.

#![allow(clippy::print_stdout, reason = "a program's answer goes to stdout")]

use afterpath::call::{Call, CallState};
use afterpath::pipeline::{Config, analyze};
use afterpath_formats::bundle::Bundles;
use afterpath_formats::import::{ImportPlan, Word, import};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const PROTOCOLS: [&str; 3] = ["http", "nats", "mysql"];

fn main() -> Result<()> {
    let Some(folder) = std::env::var_os("AFTERPATH_DATA").map(PathBuf::from) else {
        println!("not given");
        return Ok(());
    };
    let (mut n_equal, mut n_theirs, mut n_ours) = (0, 0, 0);
    for protocol in PROTOCOLS {
        let folder = folder.join("pcaps").join(protocol);
        let listing = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        let mut captures: Vec<PathBuf> =
            listing.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        captures.retain(|path| path.extension().is_some_and(|e| e == "pcap"));
        captures.retain(|path| path.with_extension("result").exists());
        captures.sort();
        for capture in captures {
            let (equal, theirs, ours) = compare(protocol, &capture)?;
            let name = capture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            println!("{protocol}/{name}: {equal} equal");
            theirs.iter().for_each(|line| println!("  only theirs: {line}"));
            ours.iter().for_each(|line| println!("  only ours:   {line}"));
            (n_equal, n_theirs, n_ours) =
                (n_equal + equal, n_theirs + theirs.len(), n_ours + ours.len());
        }
    }
    println!("\n{n_equal} messages equal, {n_theirs} only theirs, {n_ours} only ours");
    Ok(())
}

/// How many messages are equal, and what only one side tells.
fn compare(protocol: &str, capture: &Path) -> Result<(usize, Vec<String>, Vec<String>)> {
    let text = std::fs::read_to_string(capture.with_extension("result"))?;
    let told = text.lines().filter_map(|line| match protocol {
        "http" => http(line),
        "nats" => nats(line),
        _ => mysql(line),
    });
    let mut ours = ours(capture)?;
    let (mut equal, mut theirs) = (0, Vec::new());
    for line in told {
        match ours.iter().position(|own| fits(own, &line)) {
            Some(at) => {
                ours.remove(at);
                equal += 1;
            }
            None => theirs.push(line),
        }
    }
    Ok((equal, theirs, ours))
}

/// `? TYPE RESOURCE` and `= STATUS`, as we tell them.
fn ours(capture: &Path) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let bundle = folder.path().join("x.afterpath");
    import(&ImportPlan::parse(&[Word::File(capture.into())], &bundle)?, &|_| ())?;
    let analysis = analyze(&Bundles::open(&[bundle])?, &Config::default());
    let lines = |call: &Call| {
        let asked = format!("? {} {}", call.request_type, call.resource);
        let answered = format!("= {}", call.status);
        match call.state {
            CallState::Complete => vec![asked, answered],
            CallState::ResponseOnly => vec![answered],
            // An answer that has begun.
            CallState::Open if !call.status.is_empty() => vec![asked, answered],
            CallState::Open | CallState::OneWay => vec![asked],
        }
    };
    let known =
        analysis.calls.iter().filter(|call| !["opaque", "tcp"].contains(&call.protocol.as_str()));
    Ok(known.flat_map(lines).map(|line| line.trim_end().to_string()).collect())
}

/// Equal, blanks aside, and where ours has a `?` (but for the first) theirs may have anything.
fn fits(ours: &str, theirs: &str) -> bool {
    let squeezed =
        |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let (ours, theirs) = (squeezed(ours), squeezed(theirs));
    let (Some(ours), Some(theirs)) =
        (ours.get(1..), theirs.get(1..).filter(|_| ours[..1] == theirs[..1]))
    else {
        return false;
    };
    let mut pieces = ours.split('?');
    let Some(mut rest) = theirs.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let pieces: Vec<&str> = pieces.collect();
    for (nth, piece) in pieces.iter().enumerate() {
        let is_last = nth + 1 == pieces.len();
        let at = if is_last && piece.is_empty() { Some(rest.len()) } else { rest.find(piece) };
        let Some(at) = at else { return false };
        rest = &rest[at + piece.len()..];
    }
    // Theirs may be cut, or end with what ours leaves out.
    rest.is_empty() || rest == ";"
}

/// What follows `name` up to one of these.
fn value<'a>(line: &'a str, name: &str, until: &[char]) -> Option<&'a str> {
    let from = line.find(name)? + name.len();
    line[from..].split(until).next()
}

fn http(line: &str) -> Option<String> {
    let kind = value(line, "msg_type: ", &[','])?;
    let path = value(line, "path: \"", &['"']).unwrap_or_default();
    if kind == "Request" {
        let method = value(line, "method: ", &[','])?;
        // A head of HTTP/2 whose method theirs does not tell: gRPC always posts.
        let method = if method.starts_with('_') { "POST" } else { method };
        return Some(format!("? {} {path}", method.to_ascii_uppercase()));
    }
    let grpc = value(line, "grpc_status_code: Some(", &[')']);
    let status = value(line, " status_code: Some(", &[')'])?;
    let status = grpc.map_or(status, |code| if code == "0" { "OK" } else { code });
    Some(format!("= {status}"))
}

fn nats(line: &str) -> Option<String> {
    let message = value(line, "message: ", &['('])?;
    let inner = &line[line.find("message: ")?..];
    let subject = value(inner, "subject: \"", &['"']).unwrap_or_default();
    let what = message.to_ascii_uppercase();
    let what = what.strip_prefix('H').unwrap_or(&what);
    Some(match what {
        "PONG" | "OK" => "= OK".to_string(),
        "ERR" => "? ERR".to_string(),
        // A reply's subject is that of no request.
        "PUB" | "MSG" if subject.starts_with("_INBOX.") => "= OK".to_string(),
        _ => format!("? {what} {subject}").trim_end().to_string(),
    })
}

fn mysql(line: &str) -> Option<String> {
    let fields: serde_json::Value = serde_json::from_str(line.rsplit_once(" is_mysql")?.0).ok()?;
    let text = |name: &str| fields[name].as_str().unwrap_or_default().to_string();
    let resource = text("request_resource");
    let first = resource.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty());
    match (text("msg_type").as_str(), fields["request_type"].as_u64()?) {
        ("Request", 0) => Some("? LOGIN".to_string()),
        (_, 1) => Some("? QUIT".to_string()),
        ("Request", 22) => Some(format!("? PREPARE {resource}")),
        ("Request", _) => {
            Some(format!("? {} {resource}", first.unwrap_or("EXECUTE").to_ascii_uppercase()))
        }
        ("Response", _) => Some(format!("= {}", text("response_status").to_ascii_uppercase())),
        _ => None,
    }
}
