//! One DNS packet, as far as its bytes go. Never trusts a count: every record costs bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::cursor::Cursor;
use super::{MAX_ANSWERS, name};

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) id: u16,
    pub(super) is_response: bool,
    opcode: u8,
    /// The sender cut it (TC).
    pub(super) truncated: bool,
    /// With the upper bits of EDNS (RFC 6891 §6.1.3) where they were captured.
    pub(super) rcode: u16,
    /// Announced questions, answers, authority and additional records.
    pub(super) counts: [u16; 4],
    /// The first question.
    pub(super) question: Option<Question<'a>>,
    /// Addresses and names in the answers.
    pub(super) answers: Vec<String>,
    /// It goes on after the bytes.
    pub(super) short: bool,
    /// What follows the header contradicts the format.
    pub(super) malformed: bool,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    pub(super) name: String,
    record_type: u16,
    bytes: &'a [u8],
}

/// What came of reading.
#[derive(Debug)]
pub(super) enum Read<'a> {
    Packet(Packet<'a>),
    /// Not even a header.
    Short,
    /// The header is none.
    NotDns,
}

/// Reads the packet in `bytes`, which may be cut.
pub(super) fn read(bytes: &[u8]) -> Read<'_> {
    let Some((mut packet, body)) = header(bytes) else { return Read::Short };
    // RFC 1035 §4.1.1: query, inverse query, status; RFC 1996 notify; RFC 2136 update; RFC 8490 DSO.
    if !matches!(packet.opcode, 0..=2 | 4..=6) {
        return Read::NotDns;
    }
    match questions(&mut packet, bytes, body) {
        Ok(at) => records(&mut packet, bytes, at),
        Err(name::NoName::Short) => packet.short = true,
        Err(name::NoName::Illegal) => packet.malformed = true,
    }
    Read::Packet(packet)
}

fn header(bytes: &[u8]) -> Option<(Packet<'_>, usize)> {
    let mut cursor = Cursor::new(bytes);
    let (id, flags) = (cursor.u16_be()?, cursor.u16_be()?);
    let counts = [cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?, cursor.u16_be()?];
    let packet = Packet {
        id,
        is_response: flags & 0x8000 != 0,
        opcode: (flags >> 11) as u8 & 15,
        truncated: flags & 0x0200 != 0,
        rcode: flags & 15,
        counts,
        question: None,
        answers: Vec::new(),
        short: false,
        malformed: false,
    };
    Some((packet, cursor.position()))
}

fn questions<'a>(
    packet: &mut Packet<'a>,
    bytes: &'a [u8],
    begin: usize,
) -> Result<usize, name::NoName> {
    let mut at = begin;
    for _ in 0..packet.counts[0] {
        let (name, after) = name::read(bytes, at)?;
        let rest = bytes.get(after..after + 4).ok_or(name::NoName::Short)?;
        let record_type = u16::from_be_bytes([rest[0], rest[1]]);
        let question = Question { name, record_type, bytes: &bytes[at..after + 4] };
        packet.question.get_or_insert(question);
        at = after + 4;
    }
    Ok(at)
}

fn records(packet: &mut Packet<'_>, bytes: &[u8], begin: usize) {
    let mut at = begin;
    let n_records: usize = packet.counts[1..].iter().map(|&n| usize::from(n)).sum();
    for i in 0..n_records {
        let Some(record) = record(bytes, at) else {
            // An answer that the sender cut (TC) may end anywhere between records.
            packet.short = !(packet.truncated && at == bytes.len());
            return;
        };
        const OPT: u16 = 41;
        let is_answer = i < usize::from(packet.counts[1]);
        if record.record_type == OPT {
            packet.rcode = (packet.rcode & 15) | (u16::from(record.extended_rcode) << 4);
        } else if is_answer && packet.answers.len() < MAX_ANSWERS {
            packet.answers.extend(shown(bytes, &record));
        }
        at = record.data_at + record.data_length;
    }
}

struct Record {
    record_type: u16,
    /// First byte of the time to live, in OPT the upper bits of the response code.
    extended_rcode: u8,
    data_at: usize,
    data_length: usize,
}

fn record(bytes: &[u8], at: usize) -> Option<Record> {
    let at = name::skip(bytes, at)?;
    let mut cursor = Cursor::new(bytes.get(at..)?);
    let (record_type, _class) = (cursor.u16_be()?, cursor.u16_be()?);
    let [extended_rcode, ..] = cursor.u32_be()?.to_be_bytes();
    let data_length = usize::from(cursor.u16_be()?);
    cursor.take(data_length)?;
    Some(Record { record_type, extended_rcode, data_at: at + 10, data_length })
}

/// A record's data as far as it is an address or a name.
fn shown(bytes: &[u8], record: &Record) -> Option<String> {
    let data = &bytes[record.data_at..record.data_at + record.data_length];
    let name_at = |skipped: usize| name::read(bytes, record.data_at + skipped).ok().map(|n| n.0);
    match record.record_type {
        1 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).to_string()),
        28 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string()),
        2 | 5 | 12 | 39 => name_at(0),
        15 => name_at(2),
        33 => {
            let port = u16::from_be_bytes([*data.get(4)?, *data.get(5)?]);
            name_at(6).map(|target| format!("{target}:{port}"))
        }
        _ => None,
    }
}

impl Packet<'_> {
    /// The question's hash (letters' case apart: resolvers may vary it) above the id.
    pub(super) fn correlation(&self) -> u64 {
        let Some(question) = &self.question else { return u64::from(self.id) };
        // FNV-1a: equal on every machine, and nobody gains by a collision.
        let hash = question.bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x0100_0000_01b3)
        });
        ((hash ^ (hash >> 48)) << 16) | u64::from(self.id)
    }

    /// What is asked for.
    pub(super) fn request_type(&self) -> String {
        match (self.opcode, &self.question) {
            (0, Some(question)) => type_name(question.record_type),
            (0, None) => String::new(),
            (1, _) => "IQUERY".to_owned(),
            (2, _) => "STATUS".to_owned(),
            (4, _) => "NOTIFY".to_owned(),
            (5, _) => "UPDATE".to_owned(),
            _ => "DSO".to_owned(),
        }
    }

    /// The response code's name (IANA), `RCODE25` where it has none.
    pub(super) fn status(&self) -> String {
        const NAMES: [&str; 12] = [
            "NOERROR",
            "FORMERR",
            "SERVFAIL",
            "NXDOMAIN",
            "NOTIMP",
            "REFUSED",
            "YXDOMAIN",
            "YXRRSET",
            "NXRRSET",
            "NOTAUTH",
            "NOTZONE",
            "DSOTYPENI",
        ];
        match self.rcode {
            16 => "BADVERS".to_owned(),
            23 => "BADCOOKIE".to_owned(),
            code => NAMES
                .get(usize::from(code))
                .map_or_else(|| format!("RCODE{code}"), |name| (*name).to_owned()),
        }
    }
}

/// IANA's name, else RFC 3597's.
fn type_name(record_type: u16) -> String {
    const NAMES: &[(u16, &str)] = &[
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (13, "HINFO"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (29, "LOC"),
        (33, "SRV"),
        (35, "NAPTR"),
        (39, "DNAME"),
        (43, "DS"),
        (46, "RRSIG"),
        (47, "NSEC"),
        (48, "DNSKEY"),
        (50, "NSEC3"),
        (52, "TLSA"),
        (64, "SVCB"),
        (65, "HTTPS"),
        (99, "SPF"),
        (249, "TKEY"),
        (250, "TSIG"),
        (251, "IXFR"),
        (252, "AXFR"),
        (255, "ANY"),
        (256, "URI"),
        (257, "CAA"),
    ];
    let name = NAMES.iter().find(|(number, _)| *number == record_type);
    name.map_or_else(|| format!("TYPE{record_type}"), |(_, name)| (*name).to_owned())
}
