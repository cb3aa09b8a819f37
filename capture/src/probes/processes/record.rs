//! The records that the program writes into its ring, read by offset. Never trusts a length.

/// Bytes of every record (`HEAD`), and room for the path behind it in an exec's (`MAX_PATH`).
const HEAD: usize = 64;
const MAX_PATH: usize = 256;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A thread or a process began.
    Fork,
    /// A process became another program.
    Exec {
        /// The file, as it was asked for.
        path: &'a [u8],
        /// Arguments, each ended by a zero byte.
        arguments: &'a [u8],
    },
    /// A thread ended; with the last one, its process.
    Exit {
        /// Whether it was the last.
        group_dead: bool,
    },
    /// A thread has a new name.
    Rename,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) parent: u32,
    pub(super) netns: u32,
    pub(super) time_ns: i64,
    /// Id of the cgroup in the v2 hierarchy.
    pub(super) cgroup: u64,
    pub(super) name: &'a [u8],
}

/// Reads one record; `None` for what is none.
pub(super) fn parse(bytes: &[u8]) -> Option<Record<'_>> {
    let head = bytes.get(..HEAD)?;
    let kind = match head[0] {
        1 => Kind::Fork,
        2 => {
            let (n_path, n_arguments) = (u32_at(head, 20) as usize, u32_at(head, 24) as usize);
            Kind::Exec {
                path: until_zero(bytes.get(HEAD..HEAD + MAX_PATH)?.get(..n_path)?),
                arguments: bytes.get(HEAD + MAX_PATH..)?.get(..n_arguments)?,
            }
        }
        3 => Kind::Exit { group_dead: head[1] != 0 },
        4 => Kind::Rename,
        _ => return None,
    };
    Some(Record {
        kind,
        pid: u32_at(head, 4),
        tid: u32_at(head, 8),
        parent: u32_at(head, 12),
        netns: u32_at(head, 16),
        time_ns: u64_at(head, 32) as i64,
        cgroup: u64_at(head, 40),
        name: until_zero(&head[48..64]),
    })
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0u8..6) {
            if let Some(first) = bytes.first_mut() {
                *first = kind;
            }
            let _ = parse(&bytes);
        }
    }
}
