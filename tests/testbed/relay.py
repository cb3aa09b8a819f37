"""Holds packets back, or drops them, by a netfilter queue, and logs what was done to each: one that carries a given request id, or all
that an iptables rule chooses.

It never changes a packet, and never keeps one longer than it was told to.
"""

import argparse
import collections
import json
import os
import re
import select
import socket
import struct
import subprocess
import time

from services.spans import PARENT_HEADER, REQUEST_HEADER

QUEUE = 77
NETLINK_NETFILTER = 12
# Message types of the queue subsystem (3), and the attributes we use: linux/netfilter/nfnetlink_queue.h.
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302
ATTRIBUTE_COMMAND, ATTRIBUTE_PARAMETERS = 1, 2
ATTRIBUTE_HEADER, ATTRIBUTE_VERDICT, ATTRIBUTE_TIMESTAMP, ATTRIBUTE_PAYLOAD = 1, 2, 4, 10
COMMAND_BIND, COPY_PACKET, DROP, ACCEPT = 1, 2, 0, 1
REQUEST, ACKNOWLEDGE = 1, 4
TIMESTAMPS = 35  # SO_TIMESTAMPNS: include/uapi/asm-generic/socket.h


def attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(data: bytes) -> dict:
    """All attributes of a message: kind → value."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4:at + length]
        at += max(4, length + 3 & ~3)
    return found


class Queue:
    """The netlink socket of one packet queue."""

    def __init__(self):
        # The kernel stamps what arrives only while somebody asks it to: capturing alone doesn't.
        self.stamping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stamping.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.bind((0, 0))
        self.configure(attribute(ATTRIBUTE_COMMAND, struct.pack(">BBH", COMMAND_BIND, 0, socket.AF_INET)))
        self.configure(attribute(ATTRIBUTE_PARAMETERS, struct.pack(">IB", 0xFFFF, COPY_PACKET)))

    def send(self, kind: int, flags: int, body: bytes) -> None:
        """One message about our queue."""
        body = struct.pack(">BBH", 0, 0, QUEUE) + body
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, 0, 0) + body)

    def configure(self, body: bytes) -> None:
        """A setting; the kernel's answer is an error number."""
        self.send(CONFIG, ACKNOWLEDGE, body)
        error = struct.unpack_from("=i", self.socket.recv(65536), 16)[0]
        if error:
            raise OSError(-error, "the kernel refuses the packet queue")

    def receive(self) -> tuple:
        """(packet number, its bytes from the IP header on, when it came: the kernel's stamp, else when it is read here)."""
        message = self.socket.recv(1 << 17)
        received = time.time_ns()
        kind = struct.unpack_from("=H", message, 4)[0]
        if kind != PACKET:
            return None, b"", received
        found = attributes(message[20:])
        if ATTRIBUTE_TIMESTAMP in found:
            seconds, microseconds = struct.unpack(">QQ", found[ATTRIBUTE_TIMESTAMP][:16])
            received = (seconds * 1_000_000 + microseconds) * 1_000
        return struct.unpack(">I", found[ATTRIBUTE_HEADER][:4])[0], found.get(ATTRIBUTE_PAYLOAD, b""), received

    def decide(self, number: int, verdict: int) -> None:
        """Lets a packet go on, or ends it."""
        self.send(VERDICT, 0, attribute(ATTRIBUTE_VERDICT, struct.pack(">II", verdict, number)))


def carries(packet: bytes) -> int:
    """How many sequence numbers an IPv4 packet takes: its bytes, SYN, FIN. 0: it only acknowledges."""
    header = (packet[0] & 15) * 4
    flags = packet[header + 13]
    return len(packet) - header - (packet[header + 12] >> 4) * 4 + (flags >> 1 & 1) + (flags & 1)


class Relay:
    """Holds packets for a time; `only` is the id of the one request whose first packet is held, everything else passes at once."""

    def __init__(self, seconds: float, only: str, drop: bool, place: str, log: str):
        self.seconds, self.only, self.drop, self.place = seconds, only.encode(), drop, place
        self.log = open(log, "a", buffering=1)
        self.queue = Queue()
        self.held = collections.deque()  # in the order in which they are let go
        self.done = False

    def handle(self) -> None:
        """One packet from the kernel."""
        number, packet, received = self.queue.receive()
        if number is None:
            return
        if self.drop:
            self.queue.decide(number, DROP)
            self.write(packet, {"dropped": True, "place": self.place, "carries": carries(packet), "t_dropped_ns": received})
        elif self.only and (self.done or self.only not in packet):
            self.queue.decide(number, ACCEPT)
        else:
            self.done = True
            self.held.append((number, packet, received, time.monotonic() + self.seconds))

    def release(self) -> None:
        """Lets the packet go that has been held for longest, and logs it."""
        number, packet, received, _ = self.held.popleft()
        verdict = time.time_ns()
        self.queue.decide(number, ACCEPT)
        self.write(packet, {"asked_ns": int(self.seconds * 1e9), "t_received_ns": received, "t_verdict_ns": verdict,
                            "t_released_ns": time.time_ns(), "hold_ns": verdict - received})

    def write(self, packet: bytes, facts: dict) -> None:
        """What was done to a packet, and whose it was, where its bytes tell."""
        header = (packet[0] & 15) * 4
        ports = struct.unpack_from(">HH", packet, header)
        sequence = struct.unpack_from(">I", packet, header + 4)[0] if packet[9] == socket.IPPROTO_TCP else None
        ids = {name: match[1].decode() for name, header in (("request_id", REQUEST_HEADER), ("call_id", PARENT_HEADER))
               if (match := re.search(rb"(?i)" + header.encode() + rb": *([0-9a-f]+)", packet))}
        ends = [f"{socket.inet_ntoa(packet[at:at + 4])}:{port}" for at, port in zip((12, 16), ports)]
        self.log.write(json.dumps({**ids, "source": ends[0], "destination": ends[1], "sequence": sequence, **facts, "bytes": len(packet)}) + "\n")

    def run(self) -> None:
        """Until it is ended from outside."""
        while True:
            left = max(0, self.held[0][3] - time.monotonic()) if self.held else None
            if select.select([self.queue.socket], [], [], left)[0]:
                self.handle()
            while self.held and time.monotonic() >= self.held[0][3]:
                self.release()


def rule(action: str, words: str) -> None:
    """Inserts (-I) or removes (-D) the rule that sends packets through the queue."""
    chain, *match = words.split()
    subprocess.run(["iptables", "-w", action, chain, *match, "-j", "NFQUEUE", "--queue-num", str(QUEUE)], check=True)


def main() -> None:
    """The rule is there until SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rule", required=True, help="a chain of iptables and what to match there")
    parser.add_argument("--milliseconds", type=float, default=0)
    parser.add_argument("--request-id", default="", help="hold only the first packet with this")
    parser.add_argument("--drop", action="store_true")
    parser.add_argument("--place", default="", help="the namespace's name, for the log of what is dropped")
    parser.add_argument("--log", required=True)
    given = parser.parse_args()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # its own delay must not depend on other work
    relay = Relay(given.milliseconds / 1000, given.request_id, given.drop, given.place, given.log)
    rule("-I", given.rule)
    try:
        print("ready", flush=True)
        relay.run()
    except KeyboardInterrupt:
        pass
    finally:
        rule("-D", given.rule)


if __name__ == "__main__":
    main()
