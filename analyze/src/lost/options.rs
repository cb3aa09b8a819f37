//! What a TCP segment's options tell of what its sender received: selective acknowledgments (RFC 2018), of duplicates too (RFC 2883). The
//! bundle keeps no column of them, so they are read from the frame. Never believes an option that doesn't lie wholly in it.

use afterpath_formats::frame::Tcp;

/// Kinds of options (IANA).
const END: u8 = 0;
const NOTHING: u8 = 1;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
/// A TCP header without options, and the longest one, in bytes.
const SHORTEST: usize = 20;
const LONGEST: usize = 60;

/// What the options say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    /// A SYN: it understands selective acknowledgments.
    pub permits_sack: bool,
    /// The first two blocks that were received, each up to the number behind it.
    pub blocks: [Option<(u32, u32)>; 2],
}

impl Told {
    /// The block that its sender got twice: the first one, if it lies below what it acknowledges, or inside the second.
    pub fn twice(&self, acknowledgment: u32) -> Option<(u32, u32)> {
        let first = self.blocks[0]?;
        let below = |a: u32, b: u32| (b.wrapping_sub(a) as i32) >= 0;
        let is_old = below(first.1, acknowledgment);
        let is_inside = |second: (u32, u32)| below(second.0, first.0) && below(first.1, second.1);
        (is_old || self.blocks[1].is_some_and(is_inside)).then_some(first)
    }
}

/// Of a frame whose TCP payload begins at `payload_offset`.
pub(super) fn told(frame: &[u8], payload_offset: u32, tcp: &Tcp) -> Told {
    options(frame, payload_offset, tcp).map(parse).unwrap_or_default()
}

/// The options' bytes: the header is the one before the payload that begins with these ports and numbers.
fn options<'a>(frame: &'a [u8], payload_offset: u32, tcp: &Tcp) -> Option<&'a [u8]> {
    let mut begin = [0; 12];
    begin[..2].copy_from_slice(&tcp.source_port.to_be_bytes());
    begin[2..4].copy_from_slice(&tcp.destination_port.to_be_bytes());
    begin[4..8].copy_from_slice(&tcp.sequence.to_be_bytes());
    begin[8..].copy_from_slice(&tcp.acknowledgment.to_be_bytes());
    let end = payload_offset as usize;
    let header = (SHORTEST..=LONGEST).step_by(4).find_map(|length| {
        let header = frame.get(end.checked_sub(length)?..end)?;
        let is_it = header.starts_with(&begin) && usize::from(header[12] >> 4) * 4 == length;
        is_it.then_some(header)
    });
    header?.get(SHORTEST..)
}

fn parse(mut options: &[u8]) -> Told {
    let mut told = Told::default();
    while let [kind, rest @ ..] = options {
        options = match *kind {
            END => break,
            NOTHING => rest,
            kind => {
                let [length, ..] = rest else { break };
                let Some(value) = options.get(2..usize::from(*length)) else { break };
                told.permits_sack |= kind == SACK_PERMITTED;
                if kind == SACK {
                    for (block, bytes) in told.blocks.iter_mut().zip(value.chunks_exact(8)) {
                        let number = |at: usize| {
                            let bytes = bytes[at..at + 4].iter();
                            bytes.fold(0u32, |number, byte| number << 8 | u32::from(*byte))
                        };
                        *block = Some((number(0), number(4)));
                    }
                }
                &options[usize::from(*length)..]
            }
        };
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(options: &[u8], permits_sack: bool, blocks: &[(u32, u32)], twice: bool) {
        let told = parse(options);
        let found: Vec<_> = told.blocks.iter().flatten().copied().collect();
        assert_eq!((told.permits_sack, &found[..]), (permits_sack, blocks));
        assert_eq!(told.twice(1000).is_some(), twice);
    }

    fn sack(blocks: &[(u32, u32)]) -> Vec<u8> {
        let mut option = vec![NOTHING, NOTHING, SACK, 2 + 8 * blocks.len() as u8];
        for (from, to) in blocks {
            option.extend(from.to_be_bytes());
            option.extend(to.to_be_bytes());
        }
        option
    }

    #[test]
    fn blocks_and_duplicates() {
        check(&[], false, &[], false);
        check(&[2, 4, 5, 180, SACK_PERMITTED, 2, END, 9], true, &[], false);
        check(&sack(&[(2000, 2100)]), false, &[(2000, 2100)], false);
        check(&sack(&[(900, 1000)]), false, &[(900, 1000)], true);
        check(&sack(&[(2000, 2010), (1990, 2100)]), false, &[(2000, 2010), (1990, 2100)], true);
        let three = [(2000, 2010), (3000, 3010), (4000, 4010)];
        check(&sack(&three), false, &three[..2], false);
    }

    #[test]
    fn cut_and_forged_options() {
        check(&[SACK], false, &[], false);
        check(&[SACK, 0, 1, 2], false, &[], false);
        check(&[SACK, 10, 0, 0, 7], false, &[], false);
        check(&[SACK, 6, 0, 0, 7, 7], false, &[], false);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(frame in proptest::collection::vec(any::<u8>(), 0..90), at in any::<u32>()) {
            let tcp = crate::lost::tests::tcp();
            let _ = (parse(&frame), told(&frame, at % 100, &tcp), told(&frame, at, &tcp));
        }
    }
}
