"""Walks the packets of a classic pcap file, and finds the TCP segment in an Ethernet or SLL2 frame.

It never changes a byte and never reads another kind of file.
"""

import struct
from typing import NamedTuple

MAGICS = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
# Link type → (length of its header, place of its protocol number).
LINK_HEADERS = {1: (14, 12), 276: (20, 0)}
ETHERTYPE_IPV4 = 0x0800
TCP = 6


class Segment(NamedTuple):
    """Where things are in a file's bytes."""

    ip: int
    tcp: int
    payload: int
    end: int
    whole: bool  # the capture holds all of the packet


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
    """The IPv4 TCP segment in a frame, if it is one and its headers are there."""
    header, protocol_at = LINK_HEADERS[link]
    ip = begin + header
    if ip + 20 > end or struct.unpack_from(">H", data, begin + protocol_at)[0] != ETHERTYPE_IPV4 or data[ip + 9] != TCP:
        return None
    tcp = ip + (data[ip] & 15) * 4
    if tcp + 20 > end:
        return None
    total = struct.unpack_from(">H", data, ip + 2)[0]
    stop = min(end, ip + total) if total else end  # a very large GSO packet says 0
    return Segment(ip, tcp, min(tcp + (data[tcp + 12] >> 4) * 4, stop), stop, whole)


def segments(data) -> list:
    """Every IPv4 TCP segment of a file."""
    found = (segment(data, *frame) for frame in frames(data))
    return [one for one in found if one]


def only_interface(data: bytes, index: int) -> bytes:
    """A file with the frames of one interface of an SLL2 file."""
    kept = [data[begin - 16:end] for _, begin, end, _ in frames(data) if struct.unpack_from(">I", data, begin + 4)[0] == index]
    return data[:24] + b"".join(kept)
