//! The laws of masking, for every protocol: any cutting gives equal bytes, whatever is lost nothing else is kept, masking
//! again changes nothing, garbage is survived. And what the tables of the single protocols are checked with.
//!
//! Long: one corpus, and the laws that hold for all of it; apart they would need it twice.

use super::http2::HUFFMAN;
use super::{Mode, STAR, StreamMask};
use proptest::prelude::*;

/// What a whole stream becomes.
pub(super) fn masked(stream: &[u8]) -> Vec<u8> {
    let mut bytes = stream.to_vec();
    let kept = StreamMask::opened(Mode::Masked, 0).mask(0, &mut bytes, 0);
    bytes.truncate(kept.bytes);
    bytes
}

#[track_caller]
pub(super) fn check(input: &str, expected: &str) {
    let masked = masked(input.as_bytes());
    assert_eq!(String::from_utf8_lossy(&masked), expected);
    check_bytes(input.as_bytes(), expected.as_bytes());
}

/// Also byte by byte, and of what is masked already.
#[track_caller]
pub(super) fn check_bytes(input: &[u8], expected: &[u8]) {
    assert_eq!(masked(input).escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert_eq!(
        masked(expected).escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "again"
    );
    let mut mask = StreamMask::opened(Mode::Masked, 0);
    let mut single = Vec::new();
    for (at, &byte) in input.iter().enumerate() {
        let mut bytes = [byte];
        let kept = mask.mask(at as u64, &mut bytes, 1).bytes;
        single.extend_from_slice(&bytes[..kept]);
    }
    assert_eq!(
        single.escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "byte by byte"
    );
}

/// A command of these words.
pub(super) fn resp(words: &str) -> String {
    let words: Vec<_> = words.split(' ').collect();
    let bulks: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{bulks}", words.len())
}

pub(super) fn postgres_message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &(body.len() as u32 + 4).to_be_bytes()[..], body].concat()
}

pub(super) fn postgres_startup() -> Vec<u8> {
    let body = [&196_608_u32.to_be_bytes()[..], b"user\0bob\0database\0shop\0\0"].concat();
    [&(body.len() as u32 + 4).to_be_bytes()[..], &body].concat()
}

pub(super) fn mysql_packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// The answer to the handshake, by user bob.
pub(super) fn mysql_handshake(data: &[u8]) -> Vec<u8> {
    let fixed = [0x85, 0xa6, 0xff, 0x01, 0, 0, 0, 1, 0x21];
    mysql_packet(1, &[&fixed[..], &[0; 23], b"bob\0", data].concat())
}

/// A header field as it is sent.
#[derive(Clone, Copy)]
pub(super) enum Field<'a> {
    /// With incremental indexing.
    Literal(&'a str, &'a str),
    /// Never indexed.
    Never(&'a str, &'a str),
    /// With incremental indexing, its name an entry of the table.
    Named(u8, &'a str),
}

/// A header block.
pub(super) fn fields(fields: &[Field], is_huffman: bool) -> Vec<u8> {
    let mut block = Vec::new();
    let string = |block: &mut Vec<u8>, text: &str| {
        let bytes =
            if is_huffman { HUFFMAN.encode(text.as_bytes()) } else { text.as_bytes().to_vec() };
        assert!(bytes.len() < 127);
        block.push(bytes.len() as u8 | if is_huffman { 0x80 } else { 0 });
        block.extend(bytes);
    };
    for field in fields {
        let (first, name, value) = match *field {
            Field::Literal(name, value) => (0x40, Some(name), value),
            Field::Never(name, value) => (0x10, Some(name), value),
            Field::Named(index, value) => {
                block.push(0x7f);
                block.push(index - 63);
                string(&mut block, value);
                continue;
            }
        };
        block.push(first);
        name.iter().for_each(|name| string(&mut block, name));
        string(&mut block, value);
    }
    block
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes()[..], payload].concat()
}

/// A client's stream: a request of each block, with this data.
pub(super) fn request(blocks: &[Vec<u8>], data: &[u8]) -> Vec<u8> {
    let mut stream = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    stream.extend(frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]));
    for (n, block) in (0..).zip(blocks) {
        let (half, rest) = block.split_at(block.len() / 2);
        let is_split = n % 2 == 1;
        stream.extend(if is_split {
            frame(1, 0, 2 * n + 1, half)
        } else {
            frame(1, 4, 2 * n + 1, block)
        });
        if is_split {
            stream.extend(frame(9, 4, 2 * n + 1, rest));
        }
        stream.extend(frame(0, 1, 2 * n + 1, data));
    }
    stream
}

/// A secret of eight bytes, none of which stand elsewhere, and no four of them together.
const SECRET: &str = "Zq7Zx9Qw";

/// Streams of every protocol, with the secret in every place that is masked.
fn corpus() -> Vec<Vec<u8>> {
    let s = SECRET;
    let http = format!(
        "POST /a?token={s}&b=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {s}\r\nCookie: a={s}\r\nReferer: http://u:{s}@h/?sig={s}\r\n\
         Content-Length: 104\r\n\r\n{{\"password\":\"{s}\",\"pin\":\"{s}\",\"note\":\"Bearer {s} eyJ{s}.{s}\",\"api_key\":\"{s}\",\"long\":\"xxxxxxxxxxxxxxx\"}}"
    );
    let http = http.replace("104", &http.split("\r\n\r\n").nth(1).unwrap().len().to_string());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: s={s}\r\nTransfer-Encoding: chunked\r\n\r\n12\r\n{{\"password\":\"{}\r\n6\r\n{}\",\"\r\n0\r\n\r\n",
        &s[..5],
        &s[5..]
    );
    let gzip = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\n{s}");
    let form = format!("POST / HTTP/1.1\r\nContent-Length: 32\r\n\r\nx=1&password={s}&y=22222222");
    let resp = [
        resp(&format!("AUTH bob {s}")),
        resp(&format!("SET session:1 {s}")),
        resp(&format!("HELLO 3 AUTH u {s}")),
        resp("GET k"),
        resp(&format!("SET k \"password\":\"{s}\"")),
        resp(&format!("HSET u password {s}")),
    ];
    let postgres = [
        postgres_startup(),
        postgres_message(b'p', format!("{s}\0").as_bytes()),
        postgres_message(b'Q', format!("alter role x password '{s}'\0").as_bytes()),
        postgres_message(b'Q', b"select 1\0"),
        postgres_message(b'Q', format!("select '{{\"token\":\"{s}\"}}'\0").as_bytes()),
    ];
    let mysql = [
        mysql_handshake(format!("\x08{s}db\0").as_bytes()),
        mysql_packet(3, s.as_bytes()),
        mysql_packet(0, format!("\x03SET PASSWORD = '{s}'").as_bytes()),
        mysql_packet(0, b"\x03select 1"),
    ];
    let secrets = format!("Bearer {s}");
    let sent = [
        Field::Literal(":path", "/p?token=Zq7Zx9Qw"),
        Field::Literal("authorization", &secrets),
        Field::Literal("x-request-id", "abcdefgh"),
        Field::Literal("x-api-key", s),
        Field::Never("x", s),
    ];
    // Each of these adds an entry: 64 is authorization, then x-request-id, then x-api-key.
    let named = [Field::Named(64, s), Field::Named(64, "tracing-7"), Field::Named(64, s)];
    let data = format!("{{\"password\":\"{s}\",\"a\":\"b\"}}");
    let http2 = |is_huffman| {
        let blocks =
            [fields(&sent, is_huffman), fields(&named, is_huffman), fields(&sent, is_huffman)];
        request(&blocks, data.as_bytes())
    };
    let mail =
        format!("EHLO a\r\nAUTH LOGIN\r\n{s}\r\n{s}\r\nMAIL FROM:<a@b>\r\nAUTH PLAIN {s}\r\n");
    let other = format!(
        "INFO {{}}\r\nCONNECT {{\"pass\":\"{s}\",\"sig\":\"{s}\"}}\r\nuser=b;password={s}\r\n<token>{s}</token> AKIA{s}\r\n"
    );
    let frame = |first: u8, mask: &[u8], text: &str| {
        let second = text.len() as u8 | if mask.is_empty() { 0 } else { 0x80 };
        [&[first, second][..], mask, text.as_bytes()].concat()
    };
    let frames = |mask: &[u8]| {
        [
            frame(0x01, mask, &format!("{{\"password\":\"{}", &s[..5])),
            frame(0x89, mask, "beat"),
            frame(0x80, mask, &format!("{}\",\"a\":\"b\"}}", &s[5..])),
            frame(0xc2, mask, s),
            frame(0x82, mask, &format!("token={s}&more")),
            frame(0x88, mask, "\x03\x68bye"),
        ]
        .concat()
    };
    let upgrade = b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n".to_vec();
    let upgraded = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n".to_vec();
    let pem =
        format!("x\r\n-----BEGIN PRIVATE KEY-----\n{s}\n{s}\n-----END PRIVATE KEY-----\nrest\n");
    [
        [http.clone(), form.clone(), http].concat().into_bytes(),
        [chunked.clone(), gzip.clone(), chunked, gzip].concat().into_bytes(),
        resp.concat().into_bytes(),
        postgres.concat(),
        mysql.concat(),
        http2(false),
        http2(true),
        [upgrade, frames(&[0; 4])].concat(),
        [upgraded, frames(&[])].concat(),
        mail.into_bytes(),
        other.into_bytes(),
        pem.into_bytes(),
    ]
    .to_vec()
}

/// Four bytes of the secret together.
fn shows_secret(bytes: &[u8]) -> bool {
    let parts: Vec<_> = SECRET.as_bytes().windows(4).collect();
    bytes.windows(4).any(|window| parts.contains(&window))
}

/// A stream, readable when a test fails.
#[derive(Clone)]
struct Stream(Vec<u8>);

impl std::fmt::Debug for Stream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0.escape_ascii())
    }
}

/// The corpus, and what of it whole knowledge keeps.
fn streams() -> impl Strategy<Value = (Stream, Stream)> {
    prop::sample::select(corpus()).prop_map(|stream| {
        let masked = masked(&stream);
        assert_eq!(masked.len(), stream.len());
        (Stream(stream), Stream(masked))
    })
}

/// Where a chunk ends, how much of it is captured, what happens to it.
fn chunks() -> impl Strategy<Value = Vec<(usize, usize, u8)>> {
    let length = prop_oneof![1..8_usize, 1..200_usize];
    let snap = prop_oneof![Just(usize::MAX), 0..60_usize];
    prop::collection::vec((length, snap, 0..12_u8), 1..60)
}

/// The starts of messages and frames, where chunks begin most often.
fn cut(stream: &[u8], chunks: &[(usize, usize, u8)]) -> Vec<(usize, usize, usize, u8)> {
    let mut at = 0;
    let mut cut = Vec::new();
    for &(length, snap, fate) in chunks.iter().cycle() {
        if at >= stream.len() {
            return cut;
        }
        let starts = [
            &b"POST /"[..],
            b"HTTP/1.1 ",
            b"*2\r\n",
            b"*3\r\n",
            b"Q\0\0",
            b"\0\0\0\x03",
            b"\0\0\x06\x04",
        ];
        let next = starts
            .iter()
            .filter_map(|start| stream[at + 1..].windows(start.len()).position(|it| it == *start));
        let end = match next.min() {
            Some(n) if fate % 3 == 0 => at + 1 + n,
            _ => at + length,
        };
        let end = end.min(stream.len());
        cut.push((at, end, snap.min(end - at), fate));
        at = end;
    }
    cut
}

#[test]
fn what_a_client_of_nats_proves_itself_by_is_masked() {
    check(
        "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"sesame\",\"auth_token\":\"open\",\"jwt\":\"eyJh\",\"sig\":\"c2ln\"}\r\nPING\r\n",
        "CONNECT {\"verbose\":false,\"user\":\"bob\",\"pass\":\"******\",\"auth_token\":\"****\",\"jwt\":\"****\",\"sig\":\"****\"}\r\nPING\r\n",
    );
    check(
        "HPUB a 42 44\r\nNATS/1.0\r\nAuthorization: Bearer abc\r\n\r\n",
        "HPUB a 42 44\r\nNATS/1.0\r\nAuthorization: **********\r\n\r\n",
    );
}

#[test]
fn the_whole_corpus_is_masked() {
    for stream in corpus() {
        let masked = masked(&stream);
        assert!(shows_secret(&stream) || stream.starts_with(b"PRI"), "the test would be empty");
        assert!(!shows_secret(&masked), "{}", masked.escape_ascii());
        assert_eq!(masked.len(), stream.len());
    }
}

#[test]
fn a_gap_leaves_what_lengths_lead_to() {
    let first = "POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n0123456789";
    let mut mask = StreamMask::opened(Mode::Masked, 1000);
    let mut bytes = first.as_bytes().to_vec();
    assert_eq!(mask.mask(1000, &mut bytes, first.len() as u32).bytes, first.len());
    let mut middle = *b"23456";
    assert_eq!(mask.mask(1000 + first.len() as u64 + 2, &mut middle, 5).bytes, 0, "behind a gap");
    let mut rest = *b"789GET / HTTP/1.1\r\n\r\n";
    assert_eq!(mask.mask(1000 + first.len() as u64 + 7, &mut rest, 21).bytes, 0, "begins in doubt");
    let mut next = *b"GET / HTTP/1.1\r\ncookie: a\r\n\r\n";
    let kept = mask.mask(1000 + first.len() as u64 + 28, &mut next, 29);
    assert_eq!((kept.bytes, kept.n_masked), (29, 1));
    assert_eq!(&next, b"GET / HTTP/1.1\r\ncookie: *\r\n\r\n");
}

#[test]
fn modes() {
    let kept = |mode| {
        let mut bytes = *b"GET / HTTP/1.1\r\ncookie: a\r\ncontent-length: 2\r\n\r\nab";
        let kept = StreamMask::opened(mode, 0).mask(0, &mut bytes, 0);
        (kept.bytes, kept.n_masked)
    };
    assert_eq!(kept(Mode::None), (0, 0));
    assert_eq!(kept(Mode::Heads), (48, 1));
    assert_eq!(kept(Mode::Masked), (50, 1));
    assert_eq!(kept(Mode::Raw), (50, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cutting_gives_equal_bytes((Stream(stream), Stream(masked)) in streams(), chunks in chunks()) {
        let mut mask = StreamMask::opened(Mode::Masked, 7);
        for (begin, end, ..) in cut(&stream, &chunks) {
            let mut bytes = stream[begin..end].to_vec();
            let kept = mask.mask(7 + begin as u64, &mut bytes, (end - begin) as u32);
            prop_assert_eq!(kept.bytes, bytes.len());
            prop_assert_eq!(bytes.escape_ascii().to_string(), masked[begin..end].escape_ascii().to_string());
        }
    }

    #[test]
    fn whatever_is_lost_nothing_else_is_kept(
        (Stream(stream), Stream(masked)) in streams(),
        chunks in chunks(),
        is_opened: bool,
        mode in prop_oneof![Just(Mode::Masked), Just(Mode::Heads)],
    ) {
        let is_http2 = stream.windows(2).next() == Some(b"PR");
        let mut mask = if is_opened { StreamMask::opened(mode, 0) } else { StreamMask::joined(mode) };
        let mut chunks = cut(&stream, &chunks);
        if !is_opened {
            chunks.remove(0);
        }
        // Lost, in another order, twice.
        chunks.retain(|chunk| chunk.3 != 1);
        for n in 1..chunks.len() {
            match chunks[n].3 {
                2 => chunks.swap(n - 1, n),
                4 => chunks[n] = chunks[n - 1],
                5 => chunks[n].0 = chunks[n - 1].0.min(chunks[n].0),
                _ => {}
            }
        }
        for (begin, end, snap, fate) in chunks {
            let captured = if fate % 2 == 0 { end - begin } else { snap.min(end - begin) };
            let mut bytes = stream[begin..begin + captured].to_vec();
            let kept = mask.mask(begin as u64, &mut bytes, (end - begin) as u32);
            prop_assert!(kept.bytes <= captured && kept.n_masked <= kept.bytes);
            prop_assert!(!shows_secret(&bytes[..kept.bytes]), "{} at {begin}", bytes.escape_ascii());
            if is_http2 || mode == Mode::Heads {
                continue;
            }
            // What looks like a lone string of Redis is overwritten where the command it belongs to was not seen.
            let kept = bytes[..kept.bytes].iter().zip(&masked[begin..]);
            let mut differ = kept.filter(|(byte, whole)| byte != whole && **byte != STAR);
            prop_assert_eq!(differ.next(), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn http2_keeps_what_whole_knowledge_keeps_or_less(
        is_huffman: bool,
        chunks in chunks(),
        is_opened: bool,
    ) {
        let all = corpus();
        let stream = all.iter().filter(|stream| stream.starts_with(b"PRI")).nth(usize::from(is_huffman)).unwrap();
        let masked = masked(stream);
        let mut mask = if is_opened { StreamMask::opened(Mode::Masked, 0) } else { StreamMask::joined(Mode::Masked) };
        for (begin, end, snap, fate) in cut(stream, &chunks) {
            if fate == 1 || (begin == 0 && !is_opened) {
                continue;
            }
            let captured = if fate % 2 == 0 { end - begin } else { snap };
            let mut bytes = stream[begin..begin + captured].to_vec();
            let kept = mask.mask(begin as u64, &mut bytes, (end - begin) as u32).bytes;
            for (n, &byte) in bytes[..kept].iter().enumerate() {
                prop_assert!(
                    byte == masked[begin + n] || byte == STAR || byte == 0xf9,
                    "at {} of {}: {} opened {is_opened}",
                    begin + n,
                    stream.escape_ascii(),
                    bytes.escape_ascii(),
                );
            }
        }
    }

    #[test]
    fn masking_again_changes_nothing((_, Stream(masked)) in streams()) {
        prop_assert_eq!(self::masked(&masked).escape_ascii().to_string(), masked.escape_ascii().to_string());
    }

    #[test]
    fn garbage_is_survived(
        (Stream(mut stream), _) in streams(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        chunks in chunks(),
        garbage in prop::collection::vec(any::<u8>(), 0..300),
        is_opened: bool,
    ) {
        for (index, byte) in flips {
            let at = index.index(stream.len());
            stream[at] = byte;
        }
        stream.extend(garbage);
        let whole = masked(&stream);
        let mut mask = if is_opened { StreamMask::opened(Mode::Masked, 0) } else { StreamMask::joined(Mode::Masked) };
        for (begin, end, snap, fate) in cut(&stream, &chunks) {
            let mut bytes = stream[begin..begin + if fate == 1 { snap } else { end - begin }].to_vec();
            let kept = mask.mask(begin as u64, &mut bytes, (end - begin) as u32);
            prop_assert!(kept.bytes <= bytes.len());
        }
        prop_assert!(whole.len() <= stream.len());
    }

    #[test]
    fn any_cutting_of_garbage_gives_equal_bytes_as_far_as_kept(
        (Stream(mut stream), _) in streams(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        chunks in chunks(),
    ) {
        for (index, byte) in flips {
            let at = index.index(stream.len());
            stream[at] = byte;
        }
        let whole = masked(&stream);
        let mut mask = StreamMask::opened(Mode::Masked, 0);
        for (begin, end, ..) in cut(&stream, &chunks) {
            let mut bytes = stream[begin..end].to_vec();
            let kept = mask.mask(begin as u64, &mut bytes, (end - begin) as u32).bytes;
            let whole = whole.get(begin..).unwrap_or_default();
            let both = kept.min(whole.len());
            prop_assert_eq!(&bytes[..both], &whole[..both]);
            if kept < bytes.len() {
                break;
            }
        }
    }
}
