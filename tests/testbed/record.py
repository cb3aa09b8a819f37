"""Makes one recording: network up, captures, servers, load, drain, network down, truth, scrub.

It never leaves anything running, whatever fails, and never writes into a folder that already holds a recording.
"""

import argparse
import contextlib
import fcntl
import importlib
import os
import signal
import subprocess
import time

import capture
import cost
import load
import network
import processes
import scrub
import topology
import truth
from servers import Settings
from topology import Topology

# Beside the namespaces it guards: temporary folders differ from run to run.
LOCK = "/run/ap-testbed.lock"
SETTLE_SECONDS = 0.3
PARAMETERS = ("topology", "profile", "requests", "concurrency", "seed", "capture", "snaplen", "delay", "delay_request")


@contextlib.contextmanager
def exclusive():
    """One testbed at a time on a machine; a second one waits."""
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def down() -> None:
    """Removes everything, also what an earlier run left behind."""
    processes.stop_all()
    network.down()


@contextlib.contextmanager
def testbed_network(shape: Topology):
    """The network for the length of a `with`."""
    down()
    try:
        processes.make_state()
        network.up(shape)
        yield
    finally:
        down()


def start_servers(given: argparse.Namespace, folder: str) -> None:
    """All servers of a topology; `folder` is for their logs."""
    told = frozenset(text.split(":")[0] for text in getattr(given, "faults", ()))
    settings = Settings(folder, given.concurrency, given.seed, given.profile, told, getattr(given, "burn", 0))
    importlib.import_module(f"{given.topology}.servers").start_all(settings)


def up(given: argparse.Namespace) -> None:
    """Network and servers, left running; their truth goes into the state folder."""
    down()
    try:
        processes.make_state()
        network.up(topology.load(given.topology))
        folder = os.path.join(processes.STATE, "truth")
        os.makedirs(folder)
        start_servers(given, folder)
    except BaseException:
        down()
        raise


def make_folder(out: str) -> str:
    """The recording's folder, with one for its truth."""
    folder = os.path.abspath(out)
    if os.path.exists(folder) and os.listdir(folder):
        raise RuntimeError(f"{out} is not empty")
    os.makedirs(os.path.join(folder, "truth"), exist_ok=True)
    return folder


def start_hold(given: argparse.Namespace, folder: str, request_id: str) -> subprocess.Popen:
    """The relay that holds one packet; its rule is in place when this returns."""
    process = processes.start_python(
        "hold", "l4gw", "relay", "--rule", "FORWARD -i eth0 -o eth1 -p tcp", "--request-id", request_id, "--milliseconds", str(given.delay),
        "--log", os.path.join(folder, "truth", "hold.jsonl"), stop=signal.SIGINT)
    processes.await_word(process, "hold", "ready")
    return process


def drive(given: argparse.Namespace, shape: Topology, folder: str) -> None:
    """Runs the load to its end; the held request in the middle of it, if there is one."""
    path = load.write(given, shape, os.path.join(folder, "truth", "client.jsonl"), os.path.join(processes.STATE, "load.json"))
    client = processes.start("load", "client", ["node", os.path.join(processes.HERE, "load.js"), path],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    hold = None
    for line in client.stdout:
        word, *rest = line.split()
        if word == "alone":
            hold = start_hold(given, folder, rest[0])
        else:
            hold.send_signal(signal.SIGINT)
            hold.wait(10)
        print(file=client.stdin, flush=True)
    if client.wait(10):
        raise RuntimeError(f"load: {processes.log_tail('load')}")


@contextlib.contextmanager
def going_wrong(faults: list, folder: str):
    """What goes wrong for the length of a `with`; it ends whatever happens."""
    with contextlib.ExitStack() as begun:
        for fault in faults:
            fault.begin(os.path.join(folder, "truth"))
            begun.callback(fault.end)
        yield


def faults_of(given: argparse.Namespace) -> list:
    """The faults that were asked for."""
    if not given.faults:
        return []
    from mesh import faults  # the mesh's own
    return [faults.parse(text) for text in given.faults]


def start_captures(given: argparse.Namespace, shape: Topology, folder: str):
    """What keeps the packets."""
    if given.capture != "recorder":
        return capture.Captures(shape, folder, given.capture, given.snaplen)
    if not given.recorder:
        raise RuntimeError("--capture recorder needs --recorder PROGRAM")
    return capture.Recorder(shape, folder, os.path.abspath(given.recorder), given.recorder_arguments)


def measure(given: argparse.Namespace, shape: Topology, faults: list, folder: str) -> dict:
    """Everything that happens while the network stands; what the truth needs to know of it."""
    with testbed_network(shape):
        captures = start_captures(given, shape, folder)
        start_servers(given, os.path.join(folder, "truth"))
        time.sleep(SETTLE_SECONDS)
        before = cost.sample()
        with going_wrong(faults, folder):
            drive(given, shape, folder)
        facts = {"cpu": cost.between(before, cost.sample())}
        facts |= {"packets": captures.stop(), "interfaces": capture.interface_names(shape)}
    return facts


def bent_clocks(folder: str, faults: list) -> list:
    """Clocks are made wrong when everything is over; how wrong each is."""
    if not faults:
        return []
    from mesh.faults import bent  # the mesh's own
    return bent.bend(folder, faults)


def record(given: argparse.Namespace) -> None:
    """The whole recording; prints one line about it."""
    shape, faults = topology.load(given.topology), faults_of(given)
    folder = make_folder(given.out)
    with exclusive():
        facts = measure(given, shape, faults, folder)
    facts |= {name: getattr(given, name) for name in PARAMETERS}
    if given.capture != "recorder":
        with open(os.path.join(folder, "import-args"), "w") as file:
            file.write(capture.import_arguments(shape, given.capture))
    made = truth.build(shape, folder, facts, faults, bent_clocks(folder, faults))
    # A bundle is not scrubbed: its ids stay visible.
    if not given.keep_ids and given.capture != "recorder":
        scrub.scrub(folder)
    calls = sum(len(request["calls"]) for request in made["requests"])
    packets = sum(facts["packets"].values())
    print(f"testbed: {len(made['requests'])} requests, {calls} calls, {packets} packets in {len(facts['packets'])} captures, "
          f"processors {facts['cpu']['testbed']:.0%} ours, {facts['cpu']['machine']:.0%} busy, in {given.out}")
