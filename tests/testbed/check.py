"""Compares a recording's captures with its truth, by tshark's own count: requests, responses and round trips at every point.

It never corrects anything, and never uses the ids.
"""

import json
import os
import subprocess
import tempfile
from collections import Counter

import capture
import pcap
import topology

HTTP_PORTS = (topology.GATEWAY[1], topology.SIDECAR[1], topology.SERVICE_A[1], topology.SERVICE_B[1], topology.BALANCER[1],
              topology.MESH[1], topology.SERVICE_C[1])
FIELDS = ("http.request", "http.response", "pgsql.type", "resp.array.length", "tcp.dstport")
ROUND_TRIP = ("Sync", "Simple query")


def tshark(path: str) -> list:
    """One row of FIELDS for each packet that is not sent a second time."""
    decode = [word for port in HTTP_PORTS for word in ("-d", f"tcp.port=={port},http")]
    fields = [word for name in FIELDS for word in ("-e", name)]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, *decode, "-Y", "(http or pgsql or resp) and not tcp.analysis.retransmission",
         "-T", "fields", "-E", "separator=/t", *fields], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"tshark {path}: {done.stderr.strip().splitlines()[-1]}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def count_row(row: list, counts: Counter) -> None:
    """Adds one packet's messages."""
    requests, responses, types, arrays, port = row
    counts["http1 requests"] += len(requests.split(",")) if requests else 0
    counts["http1 responses"] += len(responses.split(",")) if responses else 0
    counts["postgres round trips"] += sum(word.strip() in ROUND_TRIP for word in types.split(","))
    if port == str(topology.REDIS[1]):
        counts["redis commands"] += len(arrays.split(",")) if arrays else 0


def points(folder: str, truth: dict, scratch: str):
    """(point, capture of that point alone): an `any` capture is taken apart, or tshark would see copies as retransmissions."""
    for netns, interface in capture.plan(truth["recording"]["capture"]):
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


def captured(folder: str, truth: dict) -> dict:
    """Point → counts, from the captures."""
    counts = {}
    with tempfile.TemporaryDirectory() as scratch:
        for point, path in points(folder, truth, scratch):
            counts[point] = Counter()
            for row in tshark(path):
                count_row(row, counts[point])
    return counts


def expected(truth: dict) -> dict:
    """Point → counts, from the truth."""
    what = {"http1": ("http1 requests", "http1 responses"), "redis": ("redis commands",), "postgres": ("postgres round trips",)}
    counts = {}
    for call in (call for request in truth["requests"] for call in request["calls"]):
        for point in call["points"]:
            counts.setdefault(point, Counter()).update(what[call["protocol"]])
    return counts


def check(folder: str) -> None:
    """Prints both counts of every point; fails when any two differ."""
    with open(os.path.join(folder, "truth.json")) as file:
        truth = json.load(file)
    seen, known, wrong = captured(folder, truth), expected(truth), []
    for point in (f"{netns}/{interface}" for netns, interface in topology.POINTS):
        for what in sorted(set(seen.get(point, ())) | set(known.get(point, ()))):
            pair = seen.get(point, Counter())[what], known.get(point, Counter())[what]
            if any(pair):
                print(f"{point:14} {what:22} captured {pair[0]:6}  truth {pair[1]:6}{'' if pair[0] == pair[1] else '  DIFFERS'}")
            if pair[0] != pair[1]:
                wrong.append(f"{point} {what}")
    if wrong:
        raise RuntimeError(f"captures and truth differ at {', '.join(wrong)}")
