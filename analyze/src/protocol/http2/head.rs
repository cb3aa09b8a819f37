//! What the fields of a header block say of a message. Never looks at frames.

use super::hpack::{Field, Name};
use crate::protocol::http1::outcome;
use crate::protocol::{ExplicitId, IdFields, Message, Outcome, grpc, text};

/// Pseudo-headers of a request, which come first (RFC 9113, 8.3.1): method, scheme, authority, path.
const N_PSEUDO: usize = 4;

/// The fields of interest of one block.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) method: Option<String>,
    pub(super) status: Option<u16>,
    path: Option<String>,
    authority: Option<String>,
    ids: Vec<ExplicitId>,
    content_length: Option<String>,
    content_type: Option<String>,
    user_agent: Option<String>,
    pub(super) framing: Option<grpc::Framing>,
    encoding: Option<String>,
    grpc_status: Option<(String, Option<Outcome>)>,
    grpc_message: Option<String>,
    deadline_ns: Option<u64>,
    /// Identities of entries that may be pseudo-headers.
    unknown: Vec<u64>,
    /// A field whose entry is not known.
    pub(super) has_unknown: bool,
    has_regular: bool,
    n_fields: usize,
}

impl Head {
    pub(super) fn take(&mut self, field: Field<'_>, id_fields: &IdFields) {
        let value = |most| Some(text::bounded(field.value, most));
        self.n_fields += 1;
        self.has_regular |= field.name.is_regular() || self.n_fields > N_PSEUDO;
        self.has_unknown |= field.unknown.is_some();
        match field.name {
            Name::Authority => self.authority = value(1_024),
            Name::Host => self.authority = self.authority.take().or_else(|| value(1_024)),
            Name::Method => self.method = value(32),
            Name::Path => self.path = value(1_024),
            Name::Status => {
                self.status =
                    std::str::from_utf8(field.value).ok().and_then(|code| code.parse().ok());
            }
            Name::ContentLength => self.content_length = value(32),
            Name::ContentType => {
                self.framing = grpc::framing(field.value);
                self.content_type = value(256);
            }
            Name::UserAgent => self.user_agent = value(256),
            Name::GrpcEncoding => self.encoding = value(32),
            Name::GrpcMessage => self.grpc_message = value(256),
            Name::GrpcStatus => self.grpc_status = Some(grpc::status(field.value)),
            Name::GrpcTimeout => self.deadline_ns = grpc::deadline_ns(field.value),
            Name::Id(place) => self.ids.extend(id_fields.id(place, field.value)),
            Name::Unknown if !self.has_regular => {
                self.unknown.extend(field.unknown);
            }
            Name::Unknown | Name::Scheme | Name::Other(_) => {}
        }
    }

    /// Whether it can begin a message: trailers have no pseudo-headers.
    pub(super) fn may_begin(&self) -> bool {
        self.method.is_some()
            || self.status.is_some()
            || self.path.is_some()
            || !self.unknown.is_empty()
    }

    /// A request's head; `age` tells identities of different times apart.
    pub(super) fn request(self, message: &mut Message, age: u32) {
        message.request_type = self.method.clone().unwrap_or_default();
        message.host = self.authority.clone().unwrap_or_default();
        message.resource = match &self.path {
            Some(path) => path.clone(),
            None => placeholder(&self.unknown, age),
        };
        self.facts(message);
    }

    /// A response's head, or trailers; `is_all`: nothing follows; `is_cut`: fields may be missing.
    pub(super) fn response(self, message: &mut Message, is_all: bool, is_cut: bool) {
        // Of gRPC a 200 says nothing: its own status is in the trailers, or in a field that is not known.
        let is_doubtful = if is_all { self.has_unknown || is_cut } else { self.framing.is_some() };
        let is_doubtful = is_doubtful && self.grpc_status.is_none();
        if let Some(code) = self.status.filter(|code| *code != 200 || !is_doubtful) {
            message.status = format!("{code:03}");
            message.outcome = Some(outcome(code));
        }
        self.facts(message);
    }

    fn facts(self, message: &mut Message) {
        message.version = "2".to_string();
        message.inner = self.framing.map(|_| "grpc");
        if let Some((status, outcome)) = self.grpc_status {
            (message.status, message.outcome) = (status, outcome);
        }
        message.ids = self.ids;
        let further = [
            ("content_length", self.content_length),
            ("content_type", self.content_type),
            ("user_agent", self.user_agent),
            ("encoding", self.encoding),
            ("deadline_ns", self.deadline_ns.map(|ns| ns.to_string())),
            ("grpc_message", self.grpc_message.filter(|text| !text.is_empty())),
        ];
        message.attributes.extend(further.into_iter().filter_map(|(name, v)| Some((name, v?))));
    }
}

const PLACEHOLDER: &str = "h2:path?#";

/// Whether this is no path, but what one is called that nobody saw.
pub fn is_placeholder(resource: &str) -> bool {
    resource.starts_with(PLACEHOLDER)
}

/// What a path is called whose entry was inserted before anybody looked: requests that share the entry share the name.
fn placeholder(unknown: &[u64], age: u32) -> String {
    let known: Vec<String> = unknown.iter().map(u64::to_string).collect();
    match (known.is_empty(), age) {
        (true, _) => String::new(),
        (false, 0) => format!("{PLACEHOLDER}{}", known.join(",")),
        (false, _) => format!("{PLACEHOLDER}{age}.{}", known.join(",")),
    }
}
