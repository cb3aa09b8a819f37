//! Commands as messages. Never shows more of them than the name and the first key.

use crate::protocol::text::bounded;
use crate::protocol::{Message, Role, Side};

use super::resp::Value;
use super::{Dialog, commands, reply, seek};

/// Which replies the client has asked not to get (CLIENT REPLY).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    #[default]
    None,
    /// For the next command only.
    Once,
    Lasting,
}

/// A request for the replication stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replication {
    /// Stream offset behind the request.
    pub(super) end: u64,
    /// Replies that come before its own.
    pub(super) n_replies_before: u64,
    /// SYNC: the stream follows without a line that grants it.
    pub(super) bare: bool,
}

/// The message a command makes; `dialog` learns what it means to the replies.
pub(super) fn message(value: Value, dialog: &mut Dialog) -> Message {
    let words = &value.items;
    let name = words.first().map(|w| upper(w)).unwrap_or_default();
    let second = words.get(1).map(|w| upper(w)).unwrap_or_default();
    let role = role(&name, &second, words, dialog);
    let mut message = Message::new(Side::Client, role, value.begin, value.end);
    message.resource = commands::first_key(words).map(|k| bounded(k, 1024)).unwrap_or_default();
    let container = commands::is_container(name.as_bytes()) && !second.is_empty();
    message.request_type = if container { format!("{name} {second}") } else { name.clone() };
    message.issues = value.issues;
    if role == Role::Request {
        if let Some(subscription) = reply::Subscription::asked(&name, value.count) {
            dialog.subscribe(subscription);
        }
        if matches!(&*name, "PSYNC" | "SYNC") {
            let (end, n_replies_before) = (value.end, dialog.n_requests);
            dialog.replication = Some(Replication { end, n_replies_before, bare: name == "SYNC" });
        }
        dialog.n_requests += 1;
    }
    message
}

fn role(name: &str, second: &str, words: &[Vec<u8>], dialog: &mut Dialog) -> Role {
    let before = dialog.silence;
    if before == Silence::Once {
        dialog.silence = Silence::None;
    }
    if (name, second) == ("CLIENT", "REPLY") {
        dialog.silence = match words.get(2).map(|w| upper(w)).as_deref() {
            Some("OFF") => Silence::Lasting,
            Some("SKIP") if before != Silence::Lasting => Silence::Once,
            Some("ON") => Silence::None,
            _ => before,
        };
        return if dialog.silence == Silence::None { Role::Request } else { Role::OneWay };
    }
    let unanswered = before != Silence::None || (name, second) == ("REPLCONF", "ACK");
    if unanswered { Role::OneWay } else { Role::Request }
}

/// A word in upper case, empty where it is no word.
fn upper(word: &[u8]) -> String {
    if word.len() > 64 || !seek::is_word(word) {
        return String::new();
    }
    bounded(word, 64).to_ascii_uppercase()
}
