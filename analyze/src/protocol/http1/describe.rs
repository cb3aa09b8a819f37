//! What a message takes from its head. Never looks at the stream.

use super::super::{ExplicitId, IdFields, Message, Outcome, Role, Side, grpc, text};
use super::Asked;
use super::head::{Head, MAX_METHOD, Start};

impl Head<'_> {
    /// What the response to this request has to know.
    pub(super) fn asked(&self, whole: bool) -> Asked {
        match self.start {
            Start::Request { method: b"HEAD", .. } => Asked::Head,
            _ if !whole => Asked::Plain,
            Start::Request { method: b"CONNECT", .. } => Asked::Connect,
            _ if self.values("upgrade").next().is_some() => Asked::Upgrade,
            _ => Asked::Plain,
        }
    }

    /// The message this head begins at stream offset `begin`; its end is not known here.
    pub(super) fn message(&self, from: Side, begin: u64, id_fields: &IdFields) -> Message {
        let mut message = Message::new(from, Role::Request, begin, begin + self.length as u64);
        match self.start {
            Start::Request { method, target } => {
                message.request_type = text::bounded(method, MAX_METHOD);
                message.resource = text::bounded(target, 1_024);
            }
            Start::Status(code) => {
                let interim = (100..200).contains(&code) && code != 101;
                message.role = if interim { Role::Interim } else { Role::Response };
                message.status = format!("{code:03}");
                message.outcome = (!interim).then(|| outcome(code));
            }
        }
        message.version = self.minor.map_or(String::new(), |m| format!("1.{}", char::from(m)));
        message.host = self.first("host", 1_024).unwrap_or_default();
        message.ids = self.ids(id_fields);
        message.attributes = self.attributes();
        if self.values("content-type").next().is_some_and(|kind| grpc::framing(kind).is_some()) {
            message.inner = Some("grpc");
            if let Some(code) = self.values("grpc-status").next() {
                (message.status, message.outcome) = grpc::status(code);
            } else if message.status == "200" {
                // It says nothing of gRPC: the body's last frame does.
                (message.status, message.outcome) = (String::new(), None);
            }
            let deadline = self.values("grpc-timeout").next().and_then(grpc::deadline_ns);
            message.attributes.extend(deadline.map(|ns| ("deadline_ns", ns.to_string())));
        }
        message
    }

    fn first(&self, name: &'static str, max_bytes: usize) -> Option<String> {
        self.values(name).next().map(|value| text::bounded(value, max_bytes))
    }

    fn ids(&self, fields: &IdFields) -> Vec<ExplicitId> {
        let places = (0..).zip(fields.names());
        let values = places.flat_map(|(place, name)| self.values(name).map(move |v| (place, v)));
        values.filter_map(|(place, value)| fields.id(place, value)).collect()
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let content_length = self.first("content-length", 32).map(|v| ("content_length", v));
        let content_type = self.first("content-type", 256).map(|v| ("content_type", v));
        let user_agent = self.first("user-agent", 256).map(|v| ("user_agent", v));
        let close = self.closes().then(|| ("connection_close", "true".to_owned()));
        [content_length, content_type, user_agent, close].into_iter().flatten().collect()
    }
}

/// RFC 9110, 15.
pub(in crate::protocol) fn outcome(code: u16) -> Outcome {
    match code {
        400..500 => Outcome::ClientError,
        500..600 => Outcome::ServerError,
        _ => Outcome::Ok,
    }
}
