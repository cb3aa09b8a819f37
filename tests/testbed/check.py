"""Compares a recording's captures with its truth, by tshark's own count of each protocol's messages at every point.

It never corrects anything, and never uses the ids. What passes no point, or none that tshark knows, is said, not passed over.
"""

import json
import os
import subprocess
import tempfile
from collections import Counter

import capture
import pcap
import topology
from topology import Topology

FIELDS = ("http.request", "http.response", "pgsql.type", "resp.array.length", "dns.flags.response", "http2.headers.method",
          "tcp.dstport", "tcp.payload")
SHOWN = "(http or pgsql or resp or dns or http2 or tcp.port == {nats}) and not tcp.analysis.retransmission"
ROUND_TRIP = ("Sync", "Simple query")
# What a call of the truth is in a capture.
COUNTED = {"http1": ("http1 requests", "http1 responses"), "redis": ("redis commands",), "postgres": ("postgres round trips",),
           "dns": ("dns questions", "dns answers"), "grpc": ("grpc requests",), "nats": ("nats messages",)}
# Of what the truth knows so much must be in the captures, and no more than that may be there besides.
SHARE = 0.999


def decode_as(shape: Topology, folder: str) -> list:
    """How tshark finds protocols on the topology's own ports, and the keys of its TLS."""
    ports = {name: endpoint[1] for name, endpoint in shape.servers.items()}
    stores = {"redis", "postgres", "redisB", "dns", "nats", "G"}
    protocols = {port: "http" for name, port in ports.items() if name not in stores} | {
        forward.port: "http" for forward in shape.gateway.forwards}
    protocols |= {ports[name]: "http2" for name in ("G",) if name in ports}
    secret = {ports["tlsB"], *(f.port for f in shape.gateway.forwards if f.target[1] == ports["tlsB"])} if "tlsB" in ports else set()
    words = []
    for port, protocol in protocols.items():
        words += ["-d", f"tcp.port=={port},{'tls' if port in secret else protocol}"]
        words += ["-d", f"tls.port=={port},http"] if port in secret else []
    keys = os.path.join(folder, "truth", "tls.keys")
    return words + (["-o", f"tls.keylog_file:{keys}"] if os.path.exists(keys) else [])


def tshark(path: str, shape: Topology, folder: str) -> list:
    """One row of FIELDS for each packet that is not sent a second time."""
    fields = [word for name in FIELDS for word in ("-e", name)]
    nats = shape.servers.get("nats", ("", 4222))[1]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, *decode_as(shape, folder), "-Y", SHOWN.format(nats=nats),
         "-T", "fields", "-E", "separator=/t", *fields], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tshark {path}: {done.stderr.strip().splitlines()[-1]}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def count_row(row: list, shape: Topology, counts: Counter) -> None:
    """Adds one packet's messages."""
    requests, responses, types, arrays, answers, methods, port, payload = row

    def n(field: str) -> int:
        return len(field.split(",")) if field else 0

    counts["http1 requests"] += n(requests)
    counts["http1 responses"] += n(responses)
    counts["postgres round trips"] += sum(word.strip() in ROUND_TRIP for word in types.split(","))
    counts["grpc requests"] += n(methods)
    if answers:
        counts["dns answers" if answers in ("1", "True") else "dns questions"] += 1
    if port == str(shape.servers["redis"][1]):
        counts["redis commands"] += n(arrays)
    if "nats" in shape.servers:
        # tshark 4.0 does not know NATS.
        said = bytes.fromhex(payload.split(",")[-1]) if payload else b""
        counts["nats messages"] += said.count(b"HPUB orders.") + said.count(b"HMSG orders.")


def points(folder: str, shape: Topology, truth: dict, scratch: str):
    """(point, capture of that point alone): an `any` capture is taken apart, or tshark would see copies as retransmissions."""
    for netns, interface in capture.plan(shape, truth["recording"]["capture"]):
        path = os.path.join(folder, capture.file_name(netns, interface))
        if interface != "any":
            yield f"{netns}/{interface}", path
            continue
        with open(path, "rb") as file:
            data = file.read()
        for index, name in truth["recording"]["interfaces"][netns].items():
            part = os.path.join(scratch, f"{netns}.{name}.pcap")
            with open(part, "wb") as file:
                file.write(pcap.only_interface(data, int(index)))
            yield f"{netns}/{name}", part


def captured(folder: str, shape: Topology, truth: dict) -> dict:
    """Point → counts, from the captures."""
    counts = {}
    with tempfile.TemporaryDirectory() as scratch:
        for point, path in points(folder, shape, truth, scratch):
            counts[point] = Counter()
            for row in tshark(path, shape, folder):
                count_row(row, shape, counts[point])
    return counts


def expected(truth: dict) -> dict:
    """Point → counts, from the truth."""
    counts = {}
    for call in (call for request in truth["requests"] for call in request["calls"]):
        for point in call["points"]:
            counts.setdefault(point, Counter()).update(COUNTED[call["protocol"]])
    return counts


def check(folder: str) -> None:
    """Prints both counts of every point; fails when too little of the truth is there, or too much else."""
    with open(os.path.join(folder, "truth.json")) as file:
        truth = json.load(file)
    shape = topology.load(truth["recording"]["topology"])
    seen, known = captured(folder, shape, truth), expected(truth)
    found = all_known = surplus = 0
    for point in (f"{netns}/{interface}" for netns, interface in shape.points):
        for what in sorted(set(seen.get(point, ())) | set(known.get(point, ()))):
            here, true = seen.get(point, Counter())[what], known.get(point, Counter())[what]
            if here or true:
                print(f"{point:14} {what:22} captured {here:6}  truth {true:6}{'' if here == true else '  DIFFERS'}")
            found, all_known, surplus = found + min(here, true), all_known + true, surplus + max(0, here - true)
    nowhere = sum(not call["points"] for request in truth["requests"] for call in request["calls"])
    print(f"found {found} of {all_known} ({found / max(1, all_known):.3%}), {surplus} more than the truth knows; "
          f"{nowhere} calls pass no point (unix sockets)")
    if found < SHARE * all_known or surplus > (1 - SHARE) * all_known:
        raise RuntimeError("captures and truth differ")
