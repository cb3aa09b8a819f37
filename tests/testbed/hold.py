"""Holds back the first packet that carries a given request id, by a netfilter queue in the L4 gateway, and logs for how long.

It never changes a packet, never holds a second one, and lets every other packet pass at once.
"""

import argparse
import json
import os
import re
import select
import socket
import struct
import subprocess
import time

from services.spans import PARENT_HEADER

QUEUE = 77
RULE = ["-i", "eth0", "-o", "eth1", "-p", "tcp", "-j", "NFQUEUE", "--queue-num", str(QUEUE)]
NETLINK_NETFILTER = 12
# Message types of the queue subsystem (3), and the attributes we use: linux/netfilter/nfnetlink_queue.h.
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302
ATTRIBUTE_COMMAND, ATTRIBUTE_PARAMETERS = 1, 2
ATTRIBUTE_HEADER, ATTRIBUTE_VERDICT, ATTRIBUTE_PAYLOAD = 1, 2, 10
COMMAND_BIND, COPY_PACKET, ACCEPT = 1, 2, 1
REQUEST, ACKNOWLEDGE = 1, 4


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
        """(packet number, its bytes from the IP header on)."""
        message = self.socket.recv(1 << 17)
        kind = struct.unpack_from("=H", message, 4)[0]
        if kind != PACKET:
            return None, b""
        found = attributes(message[20:])
        return struct.unpack(">I", found[ATTRIBUTE_HEADER][:4])[0], found.get(ATTRIBUTE_PAYLOAD, b"")

    def accept(self, number: int) -> None:
        """Lets a packet go on."""
        self.send(VERDICT, 0, attribute(ATTRIBUTE_VERDICT, struct.pack(">II", ACCEPT, number)))


class Hold:
    """Holds one packet for a given time while the others pass."""

    def __init__(self, request_id: str, seconds: float, log: str):
        self.request_id, self.seconds, self.log = request_id, seconds, log
        self.queue = Queue()
        self.held = None
        self.done = False

    def handle(self) -> None:
        """One packet from the kernel."""
        number, packet = self.queue.receive()
        received = time.time_ns()
        if number is None:
            return
        if self.done or self.request_id.encode() not in packet:
            self.queue.accept(number)
            return
        self.done = True
        self.held = (number, packet, received, time.monotonic() + self.seconds)

    def release(self) -> None:
        """Lets the held packet go and logs it."""
        number, packet, received, _ = self.held
        verdict = time.time_ns()
        self.queue.accept(number)
        released = time.time_ns()
        self.held = None
        span = re.search(rb"(?i)" + PARENT_HEADER.encode() + rb": *([0-9a-f]+)", packet)
        with open(self.log, "a") as file:
            file.write(json.dumps({
                "request_id": self.request_id, "call_id": span[1].decode(), "asked_ns": int(self.seconds * 1e9),
                "t_received_ns": received, "t_verdict_ns": verdict, "t_released_ns": released,
                "hold_ns": verdict - received, "bytes": len(packet)}) + "\n")

    def run(self) -> None:
        """Until it is ended from outside."""
        while True:
            left = None if self.held is None else max(0, self.held[3] - time.monotonic())
            if select.select([self.queue.socket], [], [], left)[0]:
                self.handle()
            if self.held and time.monotonic() >= self.held[3]:
                self.release()


def rule(action: str) -> None:
    """Inserts (-I) or removes (-D) the rule that sends packets from A's side to B's through the queue."""
    subprocess.run(["iptables", "-w", action, "FORWARD", *RULE], check=True)


def main() -> None:
    """The rule is there until SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--request-id", required=True)
    parser.add_argument("--milliseconds", type=float, required=True)
    parser.add_argument("--log", required=True)
    given = parser.parse_args()
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # its own delay must not depend on other work
    hold = Hold(given.request_id, given.milliseconds / 1000, given.log)
    rule("-I")
    try:
        print("ready", flush=True)
        hold.run()
    except KeyboardInterrupt:
        pass
    finally:
        rule("-D")


if __name__ == "__main__":
    main()
