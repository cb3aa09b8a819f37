"""Runs the captures: one tcpdump per observation point, or one per namespace on its `any` device, or Afterpath's own recorder for all.

It never changes an interface, and never calls a capture good that lost a packet.
"""

import os
import re
import signal
import time

import network
import processes
from topology import Topology, real_name

BUFFER_KIB = "32768"
# The kernel hands a block of packets over at the latest after a second: stopping sooner loses the last one, silently.
DRAIN_SECONDS = 2.5


def plan(shape: Topology, mode: str) -> list:
    """(namespace, interface) of each capture."""
    if mode == "any":
        return [(netns, "any") for netns in shape.namespaces]
    return list(shape.points)


def file_name(netns: str, interface: str) -> str:
    """The capture's name in the recording."""
    return f"{netns}.{interface}.pcap"


def tcpdump(netns: str, interface: str, path: str, snaplen: int):
    """Starts one capture; it keeps root, because the folder is root's."""
    # No --immediate-mode: its ring has a slot of the largest packet's size for each packet, and drops sooner.
    return processes.start(f"tcpdump-{netns}-{interface}", netns, [
        "tcpdump", "-i", interface, "-n", "-p", "-U", "-Z", "root", "-s", str(snaplen), "-B", BUFFER_KIB,
        "--time-stamp-precision=nano", "-w", path], stop=signal.SIGINT, env={**os.environ, "LC_ALL": "C"})


def await_ready(name: str, process, seconds: float = 10) -> None:
    """tcpdump says `listening on` once packets are being kept."""
    deadline = time.monotonic() + seconds
    while "listening on" not in processes.log_tail(name):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name}: {processes.log_tail(name)}")
        time.sleep(0.02)


class Captures:
    """All captures of one recording."""

    def __init__(self, shape: Topology, folder: str, mode: str, snaplen: int):
        self.points = plan(shape, mode)
        self.running = {
            f"tcpdump-{netns}-{interface}": tcpdump(netns, interface, os.path.join(folder, file_name(netns, interface)), snaplen)
            for netns, interface in self.points}
        for name, process in self.running.items():
            await_ready(name, process)

    def stop(self) -> dict:
        """Drains and ends them all: packets kept per capture. Fails when the kernel dropped any."""
        time.sleep(DRAIN_SECONDS)
        kept = {}
        for process in self.running.values():
            process.send_signal(signal.SIGINT)
        for name, process in self.running.items():
            process.wait(10)
            kept[name.removeprefix("tcpdump-")] = read_counts(name)
        return kept


class Recorder:
    """Afterpath's recorder: one bundle of all our namespaces, of their processes' sockets too."""

    NAME = "recorder"

    def __init__(self, shape: Topology, folder: str, program: str, arguments: str):
        names = ",".join(real_name(netns) for netns in shape.namespaces)
        self.process = processes.start(self.NAME, None, [
            program, "run", "--output", os.path.join(folder, "box.afterpath"), "--netns", names, *arguments.split()], stop=signal.SIGINT)
        deadline = time.monotonic() + 20
        while "recording " not in processes.log_tail(self.NAME):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"recorder: {processes.log_tail(self.NAME)}")
            time.sleep(0.02)

    def stop(self) -> dict:
        """Ends it: packets kept. Fails when it did not end well."""
        self.process.send_signal(signal.SIGINT)
        if self.process.wait(120):
            raise RuntimeError(f"recorder: {processes.log_tail(self.NAME)}")
        said = processes.log_tail(self.NAME)
        print(said)
        return {"recorder": int(re.search(r"(\d+) packets", said)[1])}


def read_counts(name: str) -> int:
    """How many packets were kept, from tcpdump's last words."""
    words = processes.log_tail(name)
    counts = {what: int(number) for number, what in re.findall(r"(\d+) packets? (captured|dropped)", words)}
    if "captured" not in counts or counts.get("dropped", 1):
        raise RuntimeError(f"{name} lost packets: {words}")
    return counts["captured"]


def import_arguments(shape: Topology, mode: str) -> str:
    """The arguments with which `afterpath import` reads the recording; file names are relative to it."""
    groups = []
    for netns in shape.namespaces:
        files = [f"{device}@{file_name(netns, device)}" for owner, device in shape.points if owner == netns]
        groups.append(f"--netns {netns}={file_name(netns, 'any') if mode == 'any' else ','.join(files)}")
    return " ".join(["--host box", *groups]) + "\n"


def interface_names(shape: Topology) -> dict:
    """Namespace → interface index → name: an SLL2 capture has only the index."""
    return {netns: network.interfaces(netns) for netns in shape.namespaces}
