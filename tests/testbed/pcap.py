"""Walks the packets of a classic pcap file, and finds the TCP segment in an Ethernet or SLL2 frame: of IPv4 or IPv6, in fragments, inside VXLAN.

It never changes a byte and never reads another kind of file.
"""

import struct
from typing import NamedTuple

MAGICS = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
# Link type → (length of its header, place of its protocol number).
LINK_HEADERS = {1: (14, 12), 276: (20, 0)}
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
TCP, UDP = 6, 17
VXLAN_PORT, VXLAN_HEADER = 4789, 8


class Segment(NamedTuple):
    """Where things are in a file's bytes. Of a fragment that is not the first, `tcp` is -1 and `payload` its first byte."""

    ip: int
    is_6: bool
    tcp: int
    payload: int
    end: int
    whole: bool  # the capture holds all of the packet
    fragment: bytes = b""  # what fragments of one packet have in common; empty: not a fragment

    def addresses(self, data) -> bytes:
        """Both addresses, as a checksum's pseudo header has them."""
        return bytes(data[self.ip + 8:self.ip + 40] if self.is_6 else data[self.ip + 12:self.ip + 20])


def frames(data) -> list:
    """(link type, begin, end, whole) of each frame."""
    order = MAGICS.get(bytes(data[:4]))
    if order is None:
        raise RuntimeError("not a pcap file")
    link, found, at = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF, [], 24
    while at + 16 <= len(data):
        kept, length = struct.unpack_from(order + "II", data, at + 8)
        if at + 16 + kept > len(data):
            raise RuntimeError(f"the packet at byte {at} is cut off")
        found.append((link, at + 16, at + 16 + kept, kept == length))
        at += 16 + kept
    if at != len(data):
        raise RuntimeError(f"{len(data) - at} bytes are left over")
    return found


def segment(data, link: int, begin: int, end: int, whole: bool) -> Segment | None:
    """The TCP segment in a frame, if it is one and its headers are there."""
    header, protocol_at = LINK_HEADERS[link]
    if begin + header > end:
        return None
    kind, ip = struct.unpack_from(">H", data, begin + protocol_at)[0], begin + header
    if kind == ETHERTYPE_IPV4 and ip + 20 <= end:
        return segment_4(data, ip, end, whole)
    if kind == ETHERTYPE_IPV6 and ip + 40 <= end:
        length = struct.unpack_from(">H", data, ip + 4)[0]
        stop = min(end, ip + 40 + length) if length else end  # a very large GSO packet says 0
        return with_ports(data, ip, True, data[ip + 6], ip + 40, stop, whole, b"")
    return None


def segment_4(data, ip: int, end: int, whole: bool) -> Segment | None:
    """The TCP segment, or a piece of it, in an IPv4 packet."""
    total, number, place = struct.unpack_from(">HHH", data, ip + 2)
    stop = min(end, ip + total) if total else end
    start = ip + (data[ip] & 15) * 4
    fragment = bytes(data[ip + 12:ip + 20]) + number.to_bytes(2, "big") if place & 0x3FFF else b""
    if place & 0x1FFF:
        return Segment(ip, False, -1, start, stop, whole, fragment) if data[ip + 9] == TCP else None
    return with_ports(data, ip, False, data[ip + 9], start, stop, whole, fragment)


def with_ports(data, ip: int, is_6: bool, protocol: int, start: int, stop: int, whole: bool, fragment: bytes) -> Segment | None:
    """The TCP segment that begins here, or the one inside a VXLAN packet that begins here."""
    if protocol == TCP and start + 20 <= stop:
        return Segment(ip, is_6, start, min(start + (data[start + 12] >> 4) * 4, stop), stop, whole, fragment)
    inner = start + 8 + VXLAN_HEADER
    if protocol == UDP and inner + 14 <= stop and struct.unpack_from(">H", data, start + 2)[0] == VXLAN_PORT:
        return segment(data, 1, inner, stop, whole)
    return None


def segments(data) -> list:
    """Every TCP segment of a file."""
    found = (segment(data, *frame) for frame in frames(data))
    return [one for one in found if one]


def only_interface(data: bytes, index: int) -> bytes:
    """A file with the frames of one interface of an SLL2 file."""
    kept = [data[begin - 16:end] for _, begin, end, _ in frames(data) if struct.unpack_from(">I", data, begin + 4)[0] == index]
    return data[:24] + b"".join(kept)
