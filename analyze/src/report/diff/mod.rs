//! What changed between recordings of a base and of a candidate, in a terminal and as JSON Lines: whose it most likely is, what users'
//! requests took longer for, every row that changed. Never a change that chance gives as well.

mod lines;
mod text;

use super::Options;
use super::ink::Ink;
use crate::diff::{Compared, Key, Wanted};
use std::io::{self, Write};

/// What is to be shown.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// The comparison.
    pub compared: &'a Compared,
    /// How it was asked for.
    pub wanted: &'a Wanted,
    /// Names of the recordings, of base and candidate, in the order in which they were compared.
    pub names: [Vec<String>; 2],
    /// All rows, not only those that changed.
    pub all: bool,
}

/// Writes it as the options say.
///
/// # Errors
/// Those of the writer.
pub fn write(shown: &Shown<'_>, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    if options.json {
        lines::write(shown, out)
    } else {
        text::write(shown, &mut Ink::new(out, options))
    }
}

/// `endpoint`, `edge`, `hop`.
fn kind(key: &Key) -> &'static str {
    match key {
        Key::Endpoint { .. } => "endpoint",
        Key::Edge { .. } => "edge",
        Key::Hop { .. } => "hop",
    }
}

/// `nginx http1 GET /page/{id}`, `a → b http1`, `wire x → y (a → b http1)`.
fn words(key: &Key) -> String {
    match key {
        Key::Endpoint { service, protocol, route } => format!("{service} {protocol} {route}"),
        Key::Edge { client, server, protocol } => format!("{client} → {server} {protocol}"),
        Key::Hop { client, server, protocol, .. } => {
            format!("{} ({client} → {server} {protocol})", place(key))
        }
    }
}

/// Of a hop the part and where it lies.
fn place(key: &Key) -> String {
    let Key::Hop { part, from, to, .. } = key else { return String::new() };
    let part = super::hops::short(part);
    if from == to { format!("{part} {from}") } else { format!("{part} {from} → {to}") }
}
