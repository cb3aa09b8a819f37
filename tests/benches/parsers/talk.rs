//! Conversations of one kind of exchange, over and over. It never varies them: what is measured is the parser.

/// What each side says, and how far both had come after each exchange.
pub(super) struct Talk {
    pub(super) client: Vec<u8>,
    pub(super) server: Vec<u8>,
    pub(super) turns: Vec<[usize; 2]>,
    pub(super) n_exchanges: usize,
}

impl Talk {
    /// Ends of stretches of about so many bytes.
    pub(super) fn cuts(&self, bytes: usize) -> Vec<[usize; 2]> {
        let mut cuts: Vec<[usize; 2]> = Vec::new();
        for ends in &self.turns {
            let before = cuts.last().map_or(0, |[client, server]| client + server);
            if ends[0] + ends[1] >= before + bytes {
                cuts.push(*ends);
            }
        }
        let end = [self.client.len(), self.server.len()];
        if cuts.last() != Some(&end) {
            cuts.push(end);
        }
        cuts
    }
}

/// A protocol and its exchanges.
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) port: u16,
    /// What tshark calls it, and a filter for its messages; empty: it does not know it.
    pub(super) tshark: &'static str,
    pub(super) filter: &'static str,
    pub(super) from_start: bool,
    /// What is said before the first exchange.
    opening: fn() -> [Vec<u8>; 2],
    /// The nth exchange, with so many bytes more than the least.
    exchange: fn(u32, usize) -> [Vec<u8>; 2],
}

impl Subject {
    /// Goes on while it is wanted: (bytes, exchanges so far).
    pub(super) fn talk(&self, size: usize, goes_on: impl Fn(usize, usize) -> bool) -> Talk {
        let [client, server] = (self.opening)();
        let turns = vec![[client.len(), server.len()]];
        let mut talk = Talk { client, server, turns, n_exchanges: 0 };
        while goes_on(talk.client.len() + talk.server.len(), talk.n_exchanges) {
            let [asked, told] = (self.exchange)(talk.n_exchanges as u32, size);
            talk.client.extend(asked);
            talk.server.extend(told);
            talk.turns.push([talk.client.len(), talk.server.len()]);
            talk.n_exchanges += 1;
        }
        talk
    }
}

/// Another protocol is one entry.
pub(super) const SUBJECTS: &[Subject] = &[
    Subject {
        name: "http1",
        port: 8080,
        tshark: "http",
        filter: "http",
        from_start: true,
        opening: nothing,
        exchange: |_, size| {
            let body = "x".repeat(size);
            let asked = match size {
                0 => "GET /a HTTP/1.1\r\nHost: s\r\n\r\n".to_string(),
                _ => format!("POST /a HTTP/1.1\r\nHost: s\r\nContent-Length: {size}\r\n\r\n{body}"),
            };
            let told = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{body}");
            [asked.into(), told.into()]
        },
    },
    Subject {
        name: "http2",
        port: 8081,
        tshark: "http2",
        filter: "http2",
        from_start: true,
        opening: || {
            let first = [0x82, 0x86, 0x41, 1, b's', 0x44, 2, b'/', b'a'];
            let asked = [&PREFACE[..], &frame(4, 0, 0, b""), &frame(1, 5, 1, &first)].concat();
            [asked, [frame(4, 0, 0, b""), frame(1, 5, 1, &[0x88])].concat()]
        },
        exchange: |n, size| {
            let (id, block) = (2 * n + 3, [0x82, 0x86, 0xbf, 0xbe]);
            let body = vec![b'x'; size];
            match size {
                0 => [frame(1, 5, id, &block), frame(1, 5, id, &[0x88])],
                _ => [
                    [frame(1, 4, id, &block), frame(0, 1, id, &body)].concat(),
                    [frame(1, 4, id, &[0x88]), frame(0, 1, id, &body)].concat(),
                ],
            }
        },
    },
    Subject {
        name: "websocket",
        port: 8082,
        tshark: "websocket",
        filter: "websocket",
        from_start: false,
        opening: nothing,
        exchange: |_, size| {
            let frame = |mask: u8| {
                let length = size + 8;
                let mut bytes = vec![0x81];
                match length {
                    0..126 => bytes.push(mask | length as u8),
                    _ => {
                        bytes.push(mask | 126);
                        bytes.extend((length as u16).to_be_bytes());
                    }
                }
                bytes.extend(vec![0; if mask > 0 { 4 } else { 0 }]);
                bytes.extend(vec![b'x'; length]);
                bytes
            };
            [frame(0x80), frame(0)]
        },
    },
    Subject {
        name: "nats",
        port: 4222,
        // tshark 4.0 does not know it: nothing to compare with.
        tshark: "",
        filter: "",
        from_start: true,
        opening: || [b"CONNECT {}\r\n".to_vec(), b"INFO {}\r\n".to_vec()],
        exchange: |_, size| {
            let payload = "x".repeat(size + 4);
            let length = payload.len();
            [
                format!("PUB a.b {length}\r\n{payload}\r\n").into(),
                format!("MSG a.c 1 {length}\r\n{payload}\r\n").into(),
            ]
        },
    },
    Subject {
        name: "redis",
        port: 6379,
        tshark: "resp",
        filter: "resp",
        from_start: true,
        opening: nothing,
        exchange: |_, size| {
            let value = "x".repeat(size + 4);
            let length = value.len();
            let told = format!("${length}\r\n{value}\r\n");
            match size {
                0 => [b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n".to_vec(), told.into()],
                _ => [format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n{told}").into(), told.into()],
            }
        },
    },
    Subject {
        name: "postgres",
        port: 5432,
        tshark: "pgsql",
        filter: "pgsql",
        from_start: true,
        opening: || {
            let asked = [
                &41_u32.to_be_bytes()[..],
                &[0, 3, 0, 0],
                b"user\0shop\0database\0shop\0\0\0\0\0\0\0\0\0",
            ]
            .concat();
            let told = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
            [[&(asked.len() as u32).to_be_bytes()[..], &asked[4..]].concat(), told]
        },
        exchange: |_, size| {
            let padding = " ".repeat(size);
            let query = format!("SELECT a FROM t WHERE b = 1{padding}\0");
            let row = vec![b'x'; size + 4];
            let row = [&[0, 1][..], &(row.len() as u32).to_be_bytes(), &row].concat();
            let told = [message(b'D', &row), message(b'C', b"SELECT 1\0"), message(b'Z', b"I")];
            [message(b'Q', query.as_bytes()), told.concat()]
        },
    },
    Subject {
        name: "mysql",
        port: 3306,
        tshark: "mysql",
        filter: "mysql",
        from_start: false,
        opening: nothing,
        exchange: |_, size| {
            let query = format!("\x03SELECT a FROM t WHERE b = 1{}", " ".repeat(size));
            let definition = b"\x03def\x01s\x01t\x01t\x01a\x01a\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
            let length = size + 4;
            let mut row = match length {
                0..251 => vec![length as u8],
                _ => [&[0xfc][..], &(length as u16).to_le_bytes()].concat(),
            };
            row.extend(vec![b'x'; length]);
            let told = [
                packet(1, &[1]),
                packet(2, definition),
                packet(3, b"\xfe\0\0\x02\0"),
                packet(4, &row),
                packet(5, b"\xfe\0\0\x02\0"),
            ];
            [packet(0, query.as_bytes()), told.concat()]
        },
    },
];

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fn nothing() -> [Vec<u8>; 2] {
    Default::default()
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = [&(payload.len() as u32).to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes()];
    [&head.concat(), payload].concat()
}

/// A message of PostgreSQL.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// A packet of MySQL.
fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_le_bytes()[..3], &[sequence], payload].concat()
}
