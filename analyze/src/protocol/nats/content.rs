//! What a message says of itself beside its subject: its headers (`NATS/1.0`, ADR-4), an acknowledgment of JetStream, an error of
//! its interface. Never shows anything else of a payload.

use crate::protocol::{IdFields, Message, Outcome, text};

/// Where JetStream wants its acknowledgments: `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.…`; newer servers put domain and account
/// before the stream.
pub(super) const ACKNOWLEDGMENT: &[u8] = b"$JS.ACK.";
/// Subjects of replies, as client libraries make them.
const INBOX: &[u8] = b"_INBOX.";
/// Bytes of a payload that are looked at.
const LOOKED_AT: usize = 1_024;

/// Whether what is sent there answers something, whoever asked.
pub(super) fn is_reply(subject: &[u8]) -> bool {
    subject.starts_with(INBOX) || subject.starts_with(ACKNOWLEDGMENT)
}

/// Takes the headers' block, as far as it is known; its status, if it has one.
pub(super) fn headers(block: &[u8], id_fields: &IdFields, message: &mut Message) -> Option<String> {
    let mut lines = block.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next()?;
    let status = first.strip_prefix(b"NATS/1.0")?.trim_ascii();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        message.ids.extend(id_fields.place(name).and_then(|place| id_fields.id(place, value)));
    }
    let code = status.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    (!code.is_empty()).then(|| text::bounded(code, 16))
}

/// The status of what answers: that of its headers, of an acknowledgment, or of an error of JetStream's.
pub(super) fn answer(
    subject: &[u8],
    status: Option<String>,
    payload: &[u8],
    message: &mut Message,
) {
    let payload = &payload[..payload.len().min(LOOKED_AT)];
    let status = match status {
        Some(status) => status,
        None if subject.starts_with(ACKNOWLEDGMENT) => {
            let word =
                payload.split(|byte| !byte.is_ascii_uppercase() && !b"+-".contains(byte)).next();
            let word = word.unwrap_or_default().trim_ascii_start();
            // An empty payload acknowledges, too.
            if word.is_empty() { "+ACK".to_string() } else { text::bounded(word, 16) }
        }
        None => error(payload).unwrap_or_else(|| "OK".to_string()),
    };
    message.outcome = Some(match status.as_bytes() {
        b"503" | b"-NAK" | b"+TERM" => Outcome::ServerError,
        [b'5', _, _] => Outcome::ServerError,
        [b'4', _, _] => Outcome::ClientError,
        _ => Outcome::Ok,
    });
    message.status = status;
    if let Some((stream, sequence)) = stored(payload) {
        message.attributes.push(("stream", stream));
        message.attributes.push(("sequence", sequence));
    }
}

/// What a delivery's acknowledgment subject says: which message of which stream, and the how many-eth time.
pub(super) fn delivery(reply: &[u8], message: &mut Message) {
    let Some(rest) = reply.strip_prefix(ACKNOWLEDGMENT) else { return };
    let words: Vec<&[u8]> = rest.split(|byte| *byte == b'.').collect();
    // `stream.consumer.delivered.sequence.consumer sequence.time.pending`; since 2.10 domain and account first, a token last.
    let words = match words.len() {
        7 => &words[..],
        9.. => &words[2..],
        _ => return,
    };
    let names = ["stream", "consumer", "deliveries", "sequence"];
    let facts = names.into_iter().zip(words);
    message.attributes.extend(facts.map(|(name, word)| (name, text::bounded(word, 256))));
}

/// `"error":{"code":404` of an answer of `$JS.API`.
fn error(payload: &[u8]) -> Option<String> {
    let rest = behind(payload, b"\"error\":{")?;
    let code = behind(rest, b"\"code\":")?;
    number(code)
}

/// `{"stream":"ORDERS","seq":7` of an answer to what was published.
fn stored(payload: &[u8]) -> Option<(String, String)> {
    let rest = payload.trim_ascii_start().strip_prefix(b"{")?;
    let stream = rest.trim_ascii_start().strip_prefix(b"\"stream\":")?.trim_ascii_start();
    let name = stream.strip_prefix(b"\"")?.split(|byte| *byte == b'"').next()?;
    let sequence = number(behind(rest, b"\"seq\":")?)?;
    Some((text::bounded(name, 256), sequence))
}

fn behind<'a>(bytes: &'a [u8], what: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(what.len()).position(|window| window == what)?;
    Some(bytes[at + what.len()..].trim_ascii_start())
}

fn number(bytes: &[u8]) -> Option<String> {
    let n = bytes.iter().take(20).take_while(|byte| byte.is_ascii_digit()).count();
    (n > 0).then(|| text::bounded(&bytes[..n], 20))
}

/// The text behind `"name":"` of a flat object, as INFO and CONNECT are.
pub(super) fn field(object: &[u8], name: &str) -> Option<String> {
    let value = behind(object, format!("\"{name}\":").as_bytes())?.strip_prefix(b"\"")?;
    let value = value.split(|byte| *byte == b'"').next()?;
    (!value.is_empty()).then(|| text::bounded(value, 256))
}

/// Whether a flag of such an object is set.
pub(super) fn is_set(object: &[u8], name: &str) -> bool {
    behind(object, format!("\"{name}\":").as_bytes()).is_some_and(|rest| rest.starts_with(b"true"))
}
