"""Records one small capture per protocol: a fresh namespace, a real server, a short conversation, a drain.

It never keeps a capture that is empty or larger than a test sample should be.
"""

import importlib
import os
import shutil
import signal
import subprocess
import time

import capture
import network
import processes
import record as recording

NETNS = "proto"
SUBJECTS = ("redis", "postgres", "dns", "http1", "tls", "forward", "nats", "http2", "grpc", "websocket", "mysql")
MOST_BYTES = 200_000
# A loopback's own MTU would put every answer into one packet.
MTU = "1500"


def record(out: str) -> None:
    """All subjects, one after the other."""
    folder = os.path.abspath(out)
    os.makedirs(folder, exist_ok=True)
    with recording.exclusive():
        for subject in SUBJECTS:
            path = os.path.join(folder, subject + ".pcap")
            packets = record_subject(subject, path)
            print(f"testbed: {subject}: {packets} packets, {os.path.getsize(path)} bytes", flush=True)


def record_subject(subject: str, path: str) -> int:
    """One capture; how many packets are in it."""
    module = importlib.import_module(f"protocols.{subject}_traffic")
    recording.down()
    try:
        processes.make_state()
        network.add_namespace(NETNS)
        network.run(*network.inside(NETNS, "ip", "link", "set", "lo", "mtu", MTU))
        name = f"tcpdump-{NETNS}-lo"
        tcpdump = capture.tcpdump(NETNS, "lo", path, 0)
        capture.await_ready(name, tcpdump)
        module.start_servers(NETNS)
        talk(subject)
        time.sleep(capture.DRAIN_SECONDS)
        tcpdump.send_signal(signal.SIGINT)
        tcpdump.wait(10)
        packets = capture.read_counts(name)
        keep_log(f"{subject}-server", path)
    finally:
        recording.down()
    if not packets or os.path.getsize(path) > MOST_BYTES:
        raise RuntimeError(f"{path}: {packets} packets, {os.path.getsize(path)} bytes")
    return packets


def keep_log(server: str, path: str) -> None:
    """What a server said of itself, beside the capture."""
    log = os.path.join(processes.STATE, f"{server}.log")
    if os.path.exists(log) and os.path.getsize(log):
        shutil.copyfile(log, os.path.splitext(path)[0] + ".log")


def talk(subject: str) -> None:
    """Runs the client's side inside the namespace."""
    try:
        client = processes.start_python(f"{subject}-client", NETNS, f"protocols.{subject}_traffic")
        status = client.wait(30)
    except subprocess.TimeoutExpired:
        status = "30 s have passed"
    if status:
        raise RuntimeError(f"{subject}: {status}: {processes.log_tail(subject + '-client')}")
