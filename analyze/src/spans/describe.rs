//! What a call is about, by OpenTelemetry's semantic conventions, the old names and the new, and by OpenTracing's; what they leave open, the
//! operation's name says. Of the two ends the server knows better. Never takes a tracer's ids for facts.

use super::points::Peer;
use crate::protocol::Outcome;
use afterpath_formats::table::spans::{SpanKind, SpanRow, SpanStatus};
use serde_json::{Map, Value};

/// The longest text kept, in bytes.
const LONGEST: usize = 4_096;

/// What a call is about.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) protocol: String,
    pub(super) version: String,
    pub(super) request_type: String,
    pub(super) resource: String,
    pub(super) authority: String,
    pub(super) status: String,
    pub(super) outcome: Option<Outcome>,
    /// Who is asked, if it left no span; of a message, the broker.
    pub(super) peer: Peer,
    /// Who asks, if it left no span.
    pub(super) caller: Peer,
    /// Whether a broker passes it on.
    pub(super) is_message: bool,
    pub(super) attributes: Vec<(String, String)>,
}

/// Both ends' attributes.
struct Said<'a> {
    client: Map<String, Value>,
    server: Map<String, Value>,
    name: &'a str,
}

impl Facts {
    pub(super) fn of(client: Option<&SpanRow>, server: Option<&SpanRow>) -> Facts {
        let said = Said {
            client: client.map(attributes).unwrap_or_default(),
            server: server.map(attributes).unwrap_or_default(),
            name: server.or(client).map_or("", |row| &row.name),
        };
        let asks = client.or(server).map(|row| row.kind).unwrap_or_default();
        let mut facts = said.kind(asks);
        let is_error =
            [client, server].into_iter().flatten().any(|r| r.status == SpanStatus::Error);
        facts.outcome = match facts.outcome {
            None | Some(Outcome::Ok) if is_error => Some(Outcome::ServerError),
            None => Some(Outcome::Ok),
            known => known,
        };
        if facts.status.is_empty() && is_error {
            facts.status = "error".to_string();
        }
        facts.peer = said.peer(&facts);
        facts.caller = said.caller();
        facts.attributes = said.all();
        facts
    }
}

impl Said<'_> {
    /// By which convention it is described.
    fn kind(&self, asks: SpanKind) -> Facts {
        if let Some(system) = self.first(&["messaging.system"]) {
            return self.message(system, asks);
        }
        if matches!(asks, SpanKind::Producer | SpanKind::Consumer) {
            return self.message("messages".to_string(), asks);
        }
        if let Some(system) = self.first(&["db.system.name", "db.system", "db.type"]) {
            return self.database(&system);
        }
        let component = self.first(&["component"]).unwrap_or_default().to_ascii_lowercase();
        let system = self.first(&["rpc.system.name", "rpc.system"]);
        if system.is_some() || component.contains("grpc") {
            return self.procedure(&system.unwrap_or_else(|| "grpc".to_string()));
        }
        match self.first(&["http.request.method", "http.method"]) {
            Some(method) => self.http(method),
            None => Facts {
                protocol: "span".to_string(),
                resource: bounded(self.name),
                authority: self.authority(),
                ..Facts::default()
            },
        }
    }

    fn http(&self, method: String) -> Facts {
        let version = self.first(&["network.protocol.version", "http.flavor"]).unwrap_or_default();
        let protocol = match version.as_bytes().first() {
            Some(b'1') => "http1",
            Some(b'2') => "http2",
            _ => "http",
        };
        let url = self.first(&["url.full", "http.url"]).unwrap_or_default();
        let of_url = url
            .split_once("://")
            .map_or(url.as_str(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
        let path = self.first(&["http.target", "url.path"]);
        let route = self.first(&["http.route"]);
        let resource = path.or((!of_url.is_empty()).then(|| of_url.to_string())).or(route);
        let code = self.first(&["http.response.status_code", "http.status_code"]);
        let number: Option<u16> = code.as_deref().and_then(|code| code.parse().ok());
        Facts {
            protocol: protocol.to_string(),
            version,
            request_type: method,
            resource: bounded(&resource.unwrap_or_else(|| self.name.to_string())),
            authority: self.authority(),
            status: code.unwrap_or_default(),
            outcome: number.map(|code| match code {
                400..500 => Outcome::ClientError,
                500.. => Outcome::ServerError,
                _ => Outcome::Ok,
            }),
            ..Facts::default()
        }
    }

    fn procedure(&self, system: &str) -> Facts {
        let is_grpc = system.eq_ignore_ascii_case("grpc");
        let service = self.first(&["rpc.service"]);
        let method = self.first(&["rpc.method"]);
        let resource = match (service, method) {
            (Some(service), Some(method)) => format!("/{service}/{method}"),
            (None, Some(method)) if method.contains('/') => method,
            _ => self.name.to_string(),
        };
        let code = self.first(&["rpc.grpc.status_code", "rpc.response.status_code"]);
        let (status, outcome) = match code {
            Some(code) => crate::protocol::grpc_status(code.as_bytes()),
            None => (String::new(), None),
        };
        Facts {
            protocol: if is_grpc { "grpc" } else { system }.to_string(),
            request_type: if is_grpc { "POST" } else { "" }.to_string(),
            resource: bounded(&resource),
            authority: self.authority(),
            status,
            outcome,
            ..Facts::default()
        }
    }

    fn database(&self, system: &str) -> Facts {
        let protocol = match system {
            "postgresql" => "postgres",
            "mariadb" => "mysql",
            other => other,
        };
        let statement = self.first(&["db.query.text", "db.statement"]);
        let operation = self.first(&["db.operation.name", "db.operation"]);
        let words = statement.as_deref().unwrap_or(self.name);
        let word = words.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let target = self.first(&["db.collection.name", "db.sql.table", "db.mongodb.collection"]);
        Facts {
            protocol: protocol.to_string(),
            request_type: bounded(&operation.unwrap_or(word)),
            resource: bounded(&statement.or(target).unwrap_or_else(|| self.name.to_string())),
            authority: self.authority(),
            status: self.first(&["db.response.status_code"]).unwrap_or_default(),
            ..Facts::default()
        }
    }

    fn message(&self, system: String, asks: SpanKind) -> Facts {
        let is_sent = asks.asks();
        let request_type = match (system.as_str(), is_sent) {
            ("nats", true) => "PUB",
            ("nats", false) => "MSG",
            (_, true) => "publish",
            (_, false) => "deliver",
        };
        let to = self.first(&[
            "messaging.destination.name",
            "messaging.destination",
            "message_bus.destination",
        ]);
        Facts {
            protocol: system,
            request_type: request_type.to_string(),
            resource: bounded(&to.unwrap_or_else(|| self.name.to_string())),
            authority: self.authority(),
            is_message: true,
            ..Facts::default()
        }
    }

    fn authority(&self) -> String {
        let url = self.first(&["url.full", "http.url"]).unwrap_or_default();
        let of_url = url.split_once("://").and_then(|(_, rest)| rest.split('/').next());
        let said = self.first(&["http.host", "server.address", "net.peer.name", "peer.address"]);
        said.or(of_url.map(str::to_string)).unwrap_or_default()
    }

    fn peer(&self, facts: &Facts) -> Peer {
        const NAMES: &[&str] = &[
            "peer.service",
            "server.address",
            "net.peer.name",
            "net.sock.peer.name",
            "peer.hostname",
        ];
        const ADDRESSES: &[&str] = &[
            "network.peer.address",
            "net.peer.ip",
            "net.sock.peer.addr",
            "peer.ipv4",
            "peer.ipv6",
        ];
        let port =
            self.of_client(&["server.port", "net.peer.port", "network.peer.port", "peer.port"]);
        let port = port.and_then(|port| port.parse().ok());
        let known = self.of_client(NAMES);
        let known =
            known.or_else(|| (!facts.authority.is_empty()).then(|| facts.authority.clone()));
        let address = self.of_client(ADDRESSES).and_then(|text| text.parse().ok());
        let is_named =
            !matches!(facts.protocol.as_str(), "span" | "http" | "http1" | "http2" | "grpc");
        let name = match (known, address) {
            (Some(name), _) => name,
            (None, _) if is_named => facts.protocol.clone(),
            (None, Some(address)) => std::net::IpAddr::to_string(&address),
            // `package.Service` of `/package.Service/Method`.
            (None, None) if facts.protocol == "grpc" => facts
                .resource
                .split('/')
                .find(|part| !part.is_empty())
                .unwrap_or_default()
                .to_string(),
            (None, None) => String::new(),
        };
        let peer = Peer::named(&name, port);
        Peer { address: peer.address.or(address), ..peer }
    }

    fn caller(&self) -> Peer {
        let text = |keys: &[&str]| keys.iter().find_map(|key| self.server.get(*key)).map(text);
        let address = text(&[
            "client.address",
            "net.peer.ip",
            "net.sock.peer.addr",
            "network.peer.address",
            "http.client_ip",
            "peer.ipv4",
        ]);
        let port = text(&[
            "client.port",
            "net.peer.port",
            "net.sock.peer.port",
            "network.peer.port",
            "peer.port",
        ]);
        let named = Peer::named(&address.unwrap_or_default(), None);
        Peer { port: named.port.or(port.and_then(|port| port.parse().ok())), ..named }
    }

    /// The first of these that either end says, the server first.
    fn first(&self, keys: &[&str]) -> Option<String> {
        let said = |of: &Map<String, Value>| keys.iter().find_map(|key| of.get(*key)).map(text);
        said(&self.server).or_else(|| said(&self.client)).filter(|text| !text.is_empty())
    }

    fn of_client(&self, keys: &[&str]) -> Option<String> {
        let of = if self.client.is_empty() { &self.server } else { &self.client };
        keys.iter().find_map(|key| of.get(*key)).map(text).filter(|text| !text.is_empty())
    }

    /// Everything said, the server's word where both say something.
    fn all(&self) -> Vec<(String, String)> {
        let of_client = self.client.iter().filter(|(key, _)| !self.server.contains_key(*key));
        let all = self.server.iter().chain(of_client);
        all.map(|(key, value)| (key.clone(), bounded(&text(value)))).collect()
    }
}

fn attributes(row: &SpanRow) -> Map<String, Value> {
    let text = row.attributes.as_deref().unwrap_or("{}");
    serde_json::from_str(text).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}
