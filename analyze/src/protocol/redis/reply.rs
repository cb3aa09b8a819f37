//! Replies as messages: which answer a request and which come on their own. Never shows their content, except error
//! codes and the channel of a published message.

use crate::protocol::text::bounded;
use crate::protocol::{Message, Outcome, Role, Side};

use super::Dialog;
use super::resp::Value;

const SUBSCRIPTIONS_MAX: usize = 1024;
const KINDS: [&str; 6] =
    ["subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe"];

/// A (un)subscribe command and its confirmations still to come.
#[derive(Debug)]
pub(super) struct Subscription {
    kind: &'static str,
    /// `None`: all channels, however many there are.
    remaining: Option<u64>,
    answered: bool,
}

impl Subscription {
    /// What a command of `n_words` words subscribes to, if it does.
    pub(super) fn asked(command: &str, n_words: u64) -> Option<Self> {
        let kind = KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(command))?;
        let remaining = n_words.checked_sub(1).filter(|&n| n > 0);
        Some(Subscription { kind, remaining, answered: false })
    }
}

impl Dialog {
    /// Notes a subscription for its confirmations; beyond a bound the oldest is forgotten.
    pub(super) fn subscribe(&mut self, subscription: Subscription) {
        if self.subscriptions.len() == SUBSCRIPTIONS_MAX {
            self.subscriptions.pop_front();
        }
        self.subscriptions.push_back(subscription);
    }

    fn confirmed(&mut self, kind: &str) -> Role {
        let Some(at) = self.subscriptions.iter().position(|s| s.kind == kind) else {
            return Role::Response;
        };
        self.subscriptions.drain(..at);
        let Some(front) = self.subscriptions.front_mut() else { return Role::Response };
        let role = if front.answered { Role::OneWay } else { Role::Response };
        front.answered = true;
        front.remaining = front.remaining.map(|n| n - 1);
        if front.remaining == Some(0) {
            self.subscriptions.pop_front();
        }
        role
    }
}

/// The message a reply makes.
pub(super) fn message(value: Value, dialog: &mut Dialog) -> Message {
    let role = role(&value, dialog);
    if role == Role::Response {
        dialog.n_replies += 1;
    }
    let mut message = Message::new(Side::Server, role, value.begin, value.end);
    match role {
        Role::Response => judge(&mut message, &value),
        _ if is_published(&value) => {
            message.request_type = first(&value).to_ascii_uppercase();
            message.resource = value.items.get(1).map(|c| bounded(c, 1024)).unwrap_or_default();
        }
        _ => {}
    }
    if value.kind == b'+' && dialog.granted_at.is_none() && grants_replication(&value, dialog) {
        dialog.granted_at = Some(value.end);
    }
    message.issues = value.issues;
    message
}

fn role(value: &Value, dialog: &mut Dialog) -> Role {
    let kind = first(value);
    if matches!(value.kind, b'*' | b'>')
        && value.count == 3
        && KINDS.contains(&&*kind)
        && let Some(n_channels) = value.last_integer
    {
        dialog.subscribed = n_channels > 0;
        return dialog.confirmed(&kind);
    }
    let unasked = match value.kind {
        b'>' => true,
        b'*' => is_published(value) && (dialog.subscribed || dialog.joined_late),
        b'+' => is_monitored(&value.line),
        _ => false,
    };
    if unasked { Role::OneWay } else { Role::Response }
}

fn judge(message: &mut Message, value: &Value) {
    let text = match value.kind {
        b'-' => Some(&value.line),
        b'!' => value.items.first(),
        _ => None,
    };
    match text {
        Some(text) => {
            message.status = code(text);
            message.outcome = Some(outcome(&message.status));
        }
        None if value.kind == 0 => {}
        None => {
            message.status = "OK".to_string();
            message.outcome = Some(Outcome::Ok);
        }
    }
    let null = value.kind == b'_' || (matches!(value.kind, b'$' | b'*') && value.line == b"-1");
    if null {
        message.attributes.push(("null", "true".to_string()));
    }
}

/// An error's first word.
fn code(text: &[u8]) -> String {
    let word = text.split(|b| !b.is_ascii_alphanumeric() && *b != b'_').next().unwrap_or_default();
    if word.is_empty() { "ERR".to_string() } else { bounded(word, 64) }
}

fn outcome(code: &str) -> Outcome {
    match code {
        "MOVED" | "ASK" => Outcome::Ok,
        "LOADING" | "OOM" | "READONLY" | "CLUSTERDOWN" | "TRYAGAIN" | "MASTERDOWN" | "BUSY"
        | "MISCONF" => Outcome::ServerError,
        _ => Outcome::ClientError,
    }
}

fn first(value: &Value) -> String {
    value.items.first().map(|kind| bounded(kind, 16)).unwrap_or_default()
}

/// `message channel payload`, `smessage channel payload`, `pmessage pattern channel payload`.
fn is_published(value: &Value) -> bool {
    matches!((&*first(value), value.count), ("message" | "smessage", 3) | ("pmessage", 4))
}

/// MONITOR's lines: `1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`.
fn is_monitored(line: &[u8]) -> bool {
    let digits = |b: &&[u8]| !b.is_empty() && b.iter().all(u8::is_ascii_digit);
    let mut parts = line.splitn(3, |&b| b == b'.' || b == b' ');
    let time = (parts.next().filter(digits), parts.next().filter(digits));
    time.0.is_some() && time.1.is_some() && parts.next().is_some_and(|rest| rest.starts_with(b"["))
}

fn grants_replication(value: &Value, dialog: &Dialog) -> bool {
    let granted = value.line.starts_with(b"FULLRESYNC") || value.line.starts_with(b"CONTINUE");
    granted && dialog.replication.is_some()
}
