//! Frames built layer by layer, inside out, for tests. Never uses the code under test.

/// Addresses `10.0.0.1` and `10.0.0.2`, or `fd00::1` and `fd00::2`.
const SOURCE: u8 = 1;
const DESTINATION: u8 = 2;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Ethernet II, padded to the 60 bytes that a card pads to.
pub(crate) fn ethernet(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut frame = joined(&[&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], &kind.to_be_bytes(), content]);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// What stands behind a VLAN EtherType.
pub(crate) fn vlan(id: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    joined(&[&(0xe000 | id).to_be_bytes(), &kind.to_be_bytes(), content])
}

/// Linux cooked v1.
pub(crate) fn sll(packet_type: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    let head = [0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    joined(&[&packet_type.to_be_bytes(), &head, &kind.to_be_bytes(), content])
}

/// Linux cooked v2.
pub(crate) fn sll2(packet_type: u8, interface: u32, kind: u16, content: &[u8]) -> Vec<u8> {
    let head = [0, 1, packet_type, 6, 2, 0, 0, 0, 0, 1, 0, 0];
    joined(&[&kind.to_be_bytes(), &[0, 0], &interface.to_be_bytes(), &head, content])
}

/// IPv4 with id 0x1234, TTL 64. `fragment`: the word of flags and offset.
pub(crate) fn ipv4_with(protocol: u8, fragment: u16, options: &[u8], content: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4) && options.len() <= 40);
    let header_length = 20 + options.len();
    let total = (header_length + content.len()) as u16;
    let mut header = vec![0x40 | (header_length / 4) as u8, 0];
    header.extend_from_slice(&total.to_be_bytes());
    header.extend_from_slice(&[0x12, 0x34]);
    header.extend_from_slice(&fragment.to_be_bytes());
    header.extend_from_slice(&[64, protocol, 0, 0, 10, 0, 0, SOURCE, 10, 0, 0, DESTINATION]);
    header.extend_from_slice(options);
    let checksum = checksum(&header).to_be_bytes();
    header[10..12].copy_from_slice(&checksum);
    joined(&[&header, content])
}

/// IPv4 without options or fragments.
pub(crate) fn ipv4(protocol: u8, content: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, 0x4000, &[], content)
}

/// IPv6, hop limit 63.
pub(crate) fn ipv6(next: u8, content: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend_from_slice(&(content.len() as u16).to_be_bytes());
    header.extend_from_slice(&[next, 63]);
    for last in [SOURCE, DESTINATION] {
        header.extend_from_slice(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    joined(&[&header, content])
}

/// An extension header of the common layout, with `extra` units of eight bytes more than one; options are PadN.
pub(crate) fn extension(next: u8, extra: u8, content: &[u8]) -> Vec<u8> {
    let mut header = vec![next, extra, 1, 4, 0, 0, 0, 0];
    for _ in 0..extra {
        header.extend_from_slice(&[1, 6, 0, 0, 0, 0, 0, 0]);
    }
    joined(&[&header, content])
}

/// A type 2 routing header without segments left: home address `fd00::9`.
pub(crate) fn routing(next: u8, content: &[u8]) -> Vec<u8> {
    let address = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    joined(&[&[next, 2, 2, 0, 0, 0, 0, 0], &address, content])
}

/// An IPv6 fragment header with id 0xabcd. `word`: offset and flags.
pub(crate) fn fragment(next: u8, word: u16, content: &[u8]) -> Vec<u8> {
    joined(&[&[next, 0], &word.to_be_bytes(), &[0, 0, 0xab, 0xcd], content])
}

/// An authentication header with an integrity value of twelve bytes.
pub(crate) fn authentication(next: u8, content: &[u8]) -> Vec<u8> {
    joined(&[&[next, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &[0x55; 12], content])
}

/// TCP 40000 → 80, sequence 1000, acknowledgment 2000, flags PSH ACK, window 501.
pub(crate) fn tcp(options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4) && options.len() <= 40);
    let words = ((20 + options.len()) / 4) as u8;
    let mut header = vec![0x9c, 0x40, 0, 80];
    header.extend_from_slice(&1000u32.to_be_bytes());
    header.extend_from_slice(&2000u32.to_be_bytes());
    header.extend_from_slice(&[words << 4, 0x18, 0x01, 0xf5, 0, 0, 0, 0]);
    joined(&[&header, options, payload])
}

/// UDP 40001 → `port`, without a checksum.
pub(crate) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    let ports = [0x9c41, port, length, 0].map(u16::to_be_bytes);
    joined(&[&ports.concat(), payload])
}

/// VXLAN, behind UDP to 4789.
pub(crate) fn vxlan(id: u32, ethernet: &[u8]) -> Vec<u8> {
    joined(&[&[8, 0, 0, 0], &(id << 8).to_be_bytes(), ethernet])
}

/// Geneve with `n` options of eight bytes.
pub(crate) fn geneve(id: u32, n: u8, kind: u16, content: &[u8]) -> Vec<u8> {
    let option = [1, 2, 3, 1, 9, 9, 9, 9].repeat(usize::from(n));
    joined(&[&[n * 2, 0], &kind.to_be_bytes(), &(id << 8).to_be_bytes(), &option, content])
}

/// GRE; `flags` as in its first byte (0x80 checksum, 0x20 key 7777, 0x10 sequence number).
pub(crate) fn gre(flags: u8, kind: u16, content: &[u8]) -> Vec<u8> {
    let mut header = vec![flags, 0];
    header.extend_from_slice(&kind.to_be_bytes());
    if flags & 0x80 != 0 {
        header.extend_from_slice(&[0; 4]);
    }
    if flags & 0x20 != 0 {
        header.extend_from_slice(&7777u32.to_be_bytes());
    }
    if flags & 0x10 != 0 {
        header.extend_from_slice(&5u32.to_be_bytes());
    }
    joined(&[&header, content])
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 =
        header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}
