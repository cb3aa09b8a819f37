//! HPACK (RFC 7541) as an onlooker decodes it: fields of which somebody wants to know, the others only so far that the table stays right. An entry
//! from before the onlooker came has no text, but an identity: how many entries before its coming it was inserted. Never evicts what an
//! encoder may still name, so table sizes need not be known; never allocates what a length announces.

use super::huffman;
use crate::protocol::cursor::Cursor;
use crate::protocol::ids::{self, IdFields};
use std::collections::VecDeque;

/// Entries remembered; a table of the usual 4,096 bytes holds 128 at most (32 bytes each are added).
const MAX_ENTRIES: usize = 4_096;
/// Bytes of a value that are kept.
const MAX_VALUE: usize = 1_024;
/// Bytes of a name that are looked at: one more than any field of interest has, so that none is taken for another's beginning.
const MAX_NAME: usize = ids::LONGEST_NAME + 1;

/// What a field is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Authority,
    Method,
    Path,
    Scheme,
    Status,
    ContentLength,
    ContentType,
    UserAgent,
    Host,
    GrpcEncoding,
    GrpcMessage,
    GrpcStatus,
    GrpcTimeout,
    /// A place among [`IdFields`].
    Id(u8),
    /// Of no interest; whether it is a pseudo-header.
    Other(bool),
    /// An entry from before the onlooker came.
    Unknown,
}

impl Name {
    fn of(name: &[u8], id_fields: &IdFields) -> Name {
        match name {
            b":authority" => Name::Authority,
            b":method" => Name::Method,
            b":path" => Name::Path,
            b":scheme" => Name::Scheme,
            b":status" => Name::Status,
            b"content-length" => Name::ContentLength,
            b"content-type" => Name::ContentType,
            b"user-agent" => Name::UserAgent,
            b"host" => Name::Host,
            b"grpc-encoding" => Name::GrpcEncoding,
            b"grpc-message" => Name::GrpcMessage,
            b"grpc-status" => Name::GrpcStatus,
            b"grpc-timeout" => Name::GrpcTimeout,
            _ => match id_fields.place(name) {
                Some(place) => Name::Id(place),
                None => Name::Other(name.first() == Some(&b':')),
            },
        }
    }

    fn is_wanted(self) -> bool {
        !matches!(self, Name::Other(_) | Name::Scheme)
    }

    /// Whether it can't stand among the pseudo-headers, which come first (RFC 9113, 8.3).
    pub(super) fn is_regular(self) -> bool {
        use Name::{Authority, Method, Other, Path, Scheme, Status, Unknown};
        !matches!(self, Authority | Method | Path | Scheme | Status | Other(true) | Unknown)
    }
}

/// The static table (RFC 7541, Appendix A): names of interest by their index, and the values of the first.
fn fixed(index: u64, id_fields: &IdFields) -> (Name, &'static [u8]) {
    match index {
        1 => (Name::Authority, b""),
        2 => (Name::Method, b"GET"),
        3 => (Name::Method, b"POST"),
        4 => (Name::Path, b"/"),
        5 => (Name::Path, b"/index.html"),
        6 => (Name::Scheme, b"http"),
        7 => (Name::Scheme, b"https"),
        8 => (Name::Status, b"200"),
        9 => (Name::Status, b"204"),
        10 => (Name::Status, b"206"),
        11 => (Name::Status, b"304"),
        12 => (Name::Status, b"400"),
        13 => (Name::Status, b"404"),
        14 => (Name::Status, b"500"),
        28 => (Name::ContentLength, b""),
        31 => (Name::ContentType, b""),
        38 => (Name::Host, b""),
        58 => (Name::UserAgent, b""),
        _ if id_fields.has_own() => (Name::of(further(index).as_bytes(), id_fields), b""),
        _ => (Name::Other(false), b""),
    }
}
const N_FIXED: u64 = 61;

/// The static table's name of an index whose value is not looked at: of interest only where a user's own field bears it.
fn further(index: u64) -> &'static str {
    const FIRST: u64 = 15;
    const NAMES: &str = "accept-charset accept-encoding accept-language accept-ranges accept \
        access-control-allow-origin age allow authorization cache-control content-disposition content-encoding \
        content-language content-length content-location content-range content-type cookie date etag expect expires from \
        host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified link location \
        max-forwards proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie \
        strict-transport-security transfer-encoding user-agent vary via www-authenticate";
    let nth = index.checked_sub(FIRST).and_then(|nth| usize::try_from(nth).ok());
    nth.and_then(|nth| NAMES.split_ascii_whitespace().nth(nth)).unwrap_or_default()
}

/// A field as a block tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) name: Name,
    /// Empty where the field is of no interest, or unknown.
    pub(super) value: &'a [u8],
    /// The identity of an entry that is not known.
    pub(super) unknown: Option<u64>,
}

#[derive(Debug)]
struct Entry {
    name: Name,
    value: Box<[u8]>,
}

/// One direction's decoder.
#[derive(Debug)]
pub(super) struct Decoder {
    /// The newest first.
    entries: VecDeque<Entry>,
    insertions: u64,
    /// Times that entries were lost: identities of different ages have nothing to do with one another.
    age: u32,
    /// Entries may be named that were not seen inserted.
    is_partial: bool,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// At a connection's beginning.
    pub(super) fn new() -> Decoder {
        Decoder {
            entries: VecDeque::new(),
            insertions: 0,
            age: 0,
            is_partial: false,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// The connection was joined in its middle.
    pub(super) fn joined_late(&mut self) {
        self.is_partial = true;
    }

    /// A block was lost, and nobody knows how many entries it inserted.
    pub(super) fn forget(&mut self) {
        self.entries.clear();
        self.insertions = 0;
        self.age += 1;
        self.is_partial = true;
    }

    pub(super) fn age(&self) -> u32 {
        self.age
    }

    /// Tells the fields of a block, whose end may be missing (`is_cut`): then those before the cut. False: it is malformed from there on.
    pub(super) fn block(
        &mut self,
        block: &[u8],
        is_cut: bool,
        id_fields: &IdFields,
        mut tell: impl FnMut(Field<'_>),
    ) -> bool {
        let mut cursor = Cursor::new(block);
        while !cursor.rest().is_empty() {
            let Some(is_good) = self.field(&mut cursor, id_fields, &mut tell) else {
                return is_cut;
            };
            if !is_good {
                return false;
            }
        }
        true
    }

    /// One representation (RFC 7541, 6). `None`: it is cut.
    fn field(
        &mut self,
        cursor: &mut Cursor<'_>,
        id_fields: &IdFields,
        tell: &mut impl FnMut(Field<'_>),
    ) -> Option<bool> {
        let first = cursor.u8()?;
        if first & 0x80 != 0 {
            let index = integer(cursor, first, 7)?;
            return Some(self.indexed(index, id_fields, tell));
        }
        if first & 0xe0 == 0x20 {
            integer(cursor, first, 5)?;
            return Some(true);
        }
        let is_inserted = first & 0xc0 == 0x40;
        let index = integer(cursor, first, if is_inserted { 6 } else { 4 })?;
        let name = if index == 0 {
            self.name.clear();
            string(cursor, MAX_NAME, &mut self.name)?;
            Name::of(&self.name, id_fields)
        } else {
            self.name_of(index, id_fields)
        };
        self.value.clear();
        let most = if name.is_wanted() { MAX_VALUE } else { 0 };
        let is_good = string(cursor, most, &mut self.value)?;
        // Of all that can stand there, only a path begins so.
        let is_path = name == Name::Unknown && self.value.first() == Some(&b'/');
        let name = if is_path { Name::Path } else { name };
        tell(Field { name, value: &self.value, unknown: None });
        if is_inserted {
            self.insertions += 1;
            self.entries.push_front(Entry { name, value: self.value.as_slice().into() });
            if self.entries.len() > MAX_ENTRIES {
                self.entries.pop_back();
                self.is_partial = true;
            }
        }
        Some(is_good)
    }

    fn indexed(&self, index: u64, id_fields: &IdFields, tell: &mut impl FnMut(Field<'_>)) -> bool {
        if (1..=N_FIXED).contains(&index) {
            let (name, value) = fixed(index, id_fields);
            tell(Field { name, value, unknown: None });
            return true;
        }
        let Some(nth) = index.checked_sub(N_FIXED + 1) else { return false };
        match self.entries.get(nth as usize) {
            Some(Entry { name, value }) => tell(Field { name: *name, value, unknown: None }),
            None if !self.is_partial => return false,
            None => {
                let unknown = nth.checked_sub(self.insertions);
                tell(Field { name: Name::Unknown, value: b"", unknown });
            }
        }
        true
    }

    fn name_of(&self, index: u64, id_fields: &IdFields) -> Name {
        if index <= N_FIXED {
            return fixed(index, id_fields).0;
        }
        let entry = self.entries.get((index - N_FIXED - 1) as usize);
        entry.map_or(Name::Unknown, |entry| entry.name)
    }
}

/// An integer whose first byte has `n_bits` of it (RFC 7541, 5.1). `None`: cut, or larger than any index or length.
fn integer(cursor: &mut Cursor<'_>, first: u8, n_bits: u32) -> Option<u64> {
    let most = (1_u64 << n_bits) - 1;
    let mut value = u64::from(first) & most;
    if value < most {
        return Some(value);
    }
    for shift in (0..28).step_by(7) {
        let byte = cursor.u8()?;
        value += u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A string (RFC 7541, 5.2), of which at most `most` bytes are appended to `out`. `None`: cut; false: no Huffman code.
fn string(cursor: &mut Cursor<'_>, most: usize, out: &mut Vec<u8>) -> Option<bool> {
    let first = cursor.u8()?;
    let length = integer(cursor, first, 7)?;
    let bytes = cursor.take(usize::try_from(length).ok()?)?;
    if first & 0x80 != 0 {
        return Some(huffman::decode(bytes, most, out));
    }
    out.extend_from_slice(&bytes[..bytes.len().min(most)]);
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::laws::Dice;

    type Told = Vec<(Name, String)>;

    /// What a block tells of fields of interest; an unknown one by its identity.
    fn told(decoder: &mut Decoder, block: &[u8]) -> Told {
        let mut told = Vec::new();
        let is_good = decoder.block(block, false, &IdFields::BUILT_IN, |field| {
            let value = match field.unknown {
                Some(identity) => format!("#{identity}"),
                None => String::from_utf8_lossy(field.value).into_owned(),
            };
            if field.name.is_wanted() {
                told.push((field.name, value));
            }
        });
        assert!(is_good);
        told
    }

    const NAMES: [&str; 8] = [
        ":method",
        ":path",
        ":authority",
        "user-agent",
        "traceparent",
        "x-other",
        "grpc-status",
        "accept",
    ];

    /// Blocks of another maker's encoder, and what it was given.
    fn encoded(n: usize) -> Vec<(Vec<u8>, Told)> {
        let (mut encoder, mut dice) = (loona_hpack::Encoder::new(), Dice::new(3));
        let block = |_| {
            let fields: Vec<(&str, String)> = (0..1 + dice.below(6))
                .map(|_| (NAMES[dice.below(NAMES.len())], format!("value-{}", dice.below(12))))
                .collect();
            let bytes = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let block = encoder.encode(bytes);
            let named = fields
                .into_iter()
                .map(|(name, value)| (Name::of(name.as_bytes(), &IdFields::BUILT_IN), value));
            (block, named.filter(|(name, _)| name.is_wanted()).collect())
        };
        (0..n).map(block).collect()
    }

    #[test]
    fn another_makers_blocks_are_decoded() {
        let mut decoder = Decoder::new();
        for (block, fields) in encoded(2_000) {
            assert_eq!(told(&mut decoder, &block), fields);
        }
    }

    #[test]
    fn names_of_the_static_table_are_found_where_they_stand() {
        for (index, name) in [
            (15, "accept-charset"),
            (23, "authorization"),
            (37, "from"),
            (58, "user-agent"),
            (61, "www-authenticate"),
            (62, ""),
            (0, ""),
        ] {
            assert_eq!(further(index), name);
        }
        let is_read =
            |name: &&str| Name::of(name.as_bytes(), &IdFields::BUILT_IN) != Name::Other(false);
        assert!(ids::DESCRIBING.iter().all(is_read), "a field of the user's own would not be");
    }

    #[test]
    fn joined_late_what_is_told_is_true_and_an_identity_stays_one_entrys() {
        let blocks = encoded(400);
        for start in [1, 7, 50, 200] {
            let mut decoder = Decoder::new();
            decoder.joined_late();
            let mut entries: std::collections::BTreeMap<String, (Name, String)> =
                Default::default();
            for (block, fields) in &blocks[start..] {
                let told = told(&mut decoder, block);
                // Unknown entries are of interest until they are known to be of none.
                let mut rest = fields.iter();
                for (name, value) in told {
                    match value.starts_with('#') {
                        false if name == Name::Unknown => {}
                        false => assert!(rest.any(|known| *known == (name, value.clone()))),
                        true => {
                            let is_of_interest =
                                fields.iter().any(|f| entries.get(&value) == Some(f));
                            assert!(!entries.contains_key(&value) || is_of_interest);
                            if told_alone(fields, block) {
                                entries.insert(value, fields[0].clone());
                            }
                        }
                    }
                }
            }
        }
    }

    /// A block of one field of interest, named by one byte.
    fn told_alone(fields: &[(Name, String)], block: &[u8]) -> bool {
        fields.len() == 1 && block.len() == 1
    }

    #[test]
    fn every_prefix_and_noise_are_endured() {
        let mut dice = Dice::new(9);
        for (block, _) in encoded(200) {
            for end in 0..block.len() {
                Decoder::new().block(&block[..end], true, &IdFields::BUILT_IN, |_| ());
            }
            let noise: Vec<u8> = block.iter().map(|byte| byte ^ (1 << dice.below(8))).collect();
            Decoder::new().block(&noise, false, &IdFields::BUILT_IN, |_| ());
        }
    }
}
