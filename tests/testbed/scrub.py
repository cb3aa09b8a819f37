"""Overwrites the testbed's ids in a recording's captures, at equal length, and proves that none is left.

It never touches a byte outside the ids, the values of X-Testbed headers and the checksums that cover them, nor the truth.
"""

import glob
import os
import re
import struct

import pcap

VALUE = re.compile(rb"(?i)(?:x-testbed-[a-z-]+|x-request-id):[ \t]*([0-9a-f]+)")
HEX_RUN = re.compile(rb"(?i)[0-9a-f]{16,}")
HALF = 16


def ones_sum(data: bytes) -> int:
    """The Internet checksum's sum: 16-bit words, carries added back."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def tcp_sum(data: bytearray, at: pcap.Segment) -> int:
    """The sum over a segment and its pseudo header: 0xffff when the checksum in it is right."""
    pseudo = at.addresses(data) + struct.pack(">HH", pcap.TCP, at.end - at.tcp)
    return ones_sum(pseudo + bytes(data[at.tcp:at.end]))


class Scrubber:
    """Overwrites ids in one capture: the values of our headers, and whatever else is half an id."""

    def __init__(self, halves: set):
        self.halves = halves
        self.first = {}  # what fragments have in common → the first one's TCP header

    def values(self, data: bytearray, at: pcap.Segment) -> list:
        """(begin, end) of each value to be overwritten."""
        found = [match.span(1) for match in VALUE.finditer(data, at.payload, at.end)]
        for run in HEX_RUN.finditer(data, at.payload, at.end):
            places = (place for place in range(run.start(), run.end() - HALF + 1) if bytes(data[place:place + HALF]).lower() in self.halves)
            found += ((place, place + HALF) for place in places)
        return found

    def scrub(self, data: bytearray, at: pcap.Segment) -> bool:
        """Fills the values of one segment with zeros. A checksum that was right is made right; one left to the card stays as it is."""
        if at.fragment and at.tcp >= 0:
            self.first[at.fragment] = at.tcp
        values = self.values(data, at)
        if not values:
            return False
        before = bytes(data[at.payload:at.end])
        was_right = not at.fragment and at.whole and tcp_sum(data, at) == 0xFFFF
        for begin, end in values:
            data[begin:end] = b"0" * (end - begin)
        if was_right:
            data[at.tcp + 16:at.tcp + 18] = b"\0\0"
            data[at.tcp + 16:at.tcp + 18] = struct.pack(">H", 0xFFFF - tcp_sum(data, at))
        elif at.fragment in self.first:
            self.mend(data, self.first[at.fragment], before, bytes(data[at.payload:at.end]))
        return True

    def mend(self, data: bytearray, tcp: int, before: bytes, after: bytes) -> None:
        """A checksum over several fragments, by what changed in one of them (RFC 1624). All begin at an even byte of the segment."""
        kept = struct.unpack_from(">H", data, tcp + 16)[0]
        total = (0xFFFF - kept) + (0xFFFF - ones_sum(before)) + ones_sum(after)
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        data[tcp + 16:tcp + 18] = struct.pack(">H", 0xFFFF - total)


def scrub_file(path: str, halves: set) -> None:
    """Rewrites one capture in place."""
    with open(path, "r+b") as file:
        data, scrubber = bytearray(file.read()), Scrubber(halves)
        if sum([scrubber.scrub(data, at) for at in pcap.segments(data)]):
            file.seek(0)
            file.write(data)


def secrets(folder: str) -> set:
    """Every half of every id in the truth."""
    ids = set()
    for path in glob.glob(os.path.join(folder, "truth", "*.jsonl")):
        with open(path, "rb") as file:
            ids |= set(re.findall(rb'"(?:request_id|span_id|call_id|parent_call_id)": ?"([0-9a-f]{16,32})', file.read()))
    return {one[at:at + HALF] for one in ids for at in range(0, len(one), HALF)}


def leaks(path: str, halves: set) -> int:
    """How many places of a file hold half an id or more."""
    with open(path, "rb") as file:
        data = file.read().lower()
    runs = (match[0] for match in HEX_RUN.finditer(data))
    return sum(run[at:at + HALF] in halves for run in runs for at in range(len(run) - HALF + 1))


def scrub(folder: str) -> None:
    """Scrubs every capture of a recording, then looks for every half of every id in all of them."""
    paths = sorted(glob.glob(os.path.join(folder, "*.pcap")))
    halves = secrets(folder)
    if not paths or not halves:
        raise RuntimeError(f"{folder} is not a recording")
    for path in paths:
        scrub_file(path, halves)
    for path in paths:
        if found := leaks(path, halves):
            raise RuntimeError(f"{path} still holds {found} ids")
