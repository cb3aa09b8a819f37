//! Ethernet, IPv4 and TCP headers with right checksums and the timestamp option, as Linux sends them.
//! It never splits payload: a segment is what it is given.

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) address: [u8; 4],
    pub(super) port: u16,
}

/// TCP flag bits.
pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;

/// The fields of one segment.
pub(super) struct Segment<'a> {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) ip_id: u16,
    pub(super) ttl: u8,
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
    pub(super) flags: u8,
    /// Value and echo of the timestamp option.
    pub(super) stamps: (u32, u32),
    pub(super) payload: &'a [u8],
}

const ETHERNET: usize = 14;
const IP: usize = 20;

/// The whole frame.
pub(super) fn frame(segment: &Segment<'_>) -> Vec<u8> {
    let options = options(segment);
    let tcp = 20 + options.len();
    let total = IP + tcp + segment.payload.len();
    let mut frame = Vec::with_capacity(ETHERNET + total);
    for end in [segment.to, segment.from] {
        frame.extend([2, 0]);
        frame.extend(end.address);
    }
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend((total as u16).to_be_bytes());
    frame.extend(segment.ip_id.to_be_bytes());
    frame.extend([0x40, 0, segment.ttl, 6, 0, 0]);
    frame.extend(segment.from.address);
    frame.extend(segment.to.address);
    frame.extend(segment.from.port.to_be_bytes());
    frame.extend(segment.to.port.to_be_bytes());
    frame.extend(segment.sequence.to_be_bytes());
    frame.extend(segment.acknowledgment.to_be_bytes());
    frame.extend([(tcp as u8 / 4) << 4, segment.flags, 0x01, 0xf6, 0, 0, 0, 0]);
    frame.extend(options);
    frame.extend(segment.payload);
    let ip_sum = !fold(sum(&frame[ETHERNET..ETHERNET + IP]));
    frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&ip_sum.to_be_bytes());
    let pseudo = sum(&frame[ETHERNET + 12..ETHERNET + IP]) + 6 + (total - IP) as u64;
    let tcp_sum = !fold(pseudo + sum(&frame[ETHERNET + IP..]));
    frame[ETHERNET + IP + 16..ETHERNET + IP + 18].copy_from_slice(&tcp_sum.to_be_bytes());
    frame
}

fn options(segment: &Segment<'_>) -> Vec<u8> {
    let mut options = Vec::with_capacity(20);
    if segment.flags & SYN != 0 {
        // Largest segment 1460, selective acknowledgment.
        options.extend([2, 4, 5, 0xb4, 4, 2]);
    } else {
        options.extend([1, 1]);
    }
    options.extend([8, 10]);
    options.extend(segment.stamps.0.to_be_bytes());
    options.extend(segment.stamps.1.to_be_bytes());
    if segment.flags & SYN != 0 {
        // Window scale 7.
        options.extend([1, 3, 3, 7]);
    }
    options
}

fn sum(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().first().map_or(0, |&byte| u64::from(byte) << 8);
    pairs.map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u64>() + odd
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_right_when_the_sum_over_all_is_all_ones() {
        let end = |last, port| End { address: [10, 0, 0, last], port };
        let frame = frame(&Segment {
            from: end(1, 40_000),
            to: end(2, 80),
            ip_id: 7,
            ttl: 64,
            sequence: 0xffff_fff0,
            acknowledgment: 1,
            flags: PSH | ACK,
            stamps: (1, 2),
            payload: b"GET / HTTP/1.1\r\n\r\nx",
        });
        assert_eq!(fold(sum(&frame[14..34])), 0xffff);
        let pseudo = sum(&frame[26..34]) + 6 + (frame.len() - 34) as u64;
        assert_eq!(fold(pseudo + sum(&frame[34..])), 0xffff);
        assert_eq!(frame.len(), 14 + 20 + 32 + 19);
    }
}
