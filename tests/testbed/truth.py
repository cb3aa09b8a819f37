"""Joins what each process and relay logged into one truth.json: every request, its calls, and the points each call crossed.

It never reads a capture: nothing in the truth comes from what is to be judged by it. It never calls itself true unchecked (check_times).
"""

import glob
import json
import os
import re

from topology import Leg, Topology, dotted

# nginx's clock has milliseconds, and relays read theirs once per turn of their event loops.
RELAY_RESOLUTION_NS = 2_000_000
# How far a child's times may lie outside its parent's.
SLACK_NS = 2_000_000
# The share of requests whose tree may be incomplete, and of calls that may lie outside their parents.
MOST_AMISS = 0.001


def read_lines(path: str) -> list:
    """One log, as a list of objects; what is no object is a program's other words."""
    with open(path) as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def relay_times(row: dict) -> tuple:
    """When a relay's own call began and ended, in whatever form its log tells it: nginx, haproxy, Envoy."""
    if "upstream_s" in row:
        end = round(float(row["end_s"]) * 1000) * 1_000_000
        return end - round(float(row["upstream_s"]) * 1000) * 1_000_000, end
    if "start_us" in row:
        return row["start_us"] * 1000, row["end_us"] * 1000
    start = round(float(row["start_s"]) * 1e6) * 1000
    return start, start + int(row["duration_ms"]) * 1_000_000


def plain(address: str) -> str:
    """An address without the brackets and the prefix that some programs give those that IPv6 sockets see."""
    return re.sub(r"^\[?::ffff:([0-9.]+)\]?:", r"\1:", address)


class Incomplete(Exception):
    """A request whose logs don't tell its whole tree."""


class Logs:
    """Every log of a recording, and how to put one request together out of them."""

    def __init__(self, shape: Topology, folder: str, faults: list):
        self.shape = shape
        self.skipped = [pair for fault in faults for pair in fault.skipped()]
        self.endpoints = {dotted(endpoint) if endpoint[1] else endpoint[0]: endpoint for _, endpoint in shape.chains}
        self.client, self.rows = [], {}
        self.packets, self.times_amiss = [], []  # what relays did to packets, and when other faults were
        for path in sorted(glob.glob(os.path.join(folder, "truth", "*.jsonl"))):
            for row in read_lines(path):
                self.keep(row)
        self.amiss = []  # calls whose times don't fit

    def keep(self, row: dict) -> None:
        """One row of a log: of who answered, and for which call."""
        name = row.get("relay") or row.get("service")
        if name == "client":
            self.client.append(row)
        elif name:
            key = (name, row["parent_call_id"])
            if key in self.rows:
                raise RuntimeError(f"{name} saw call {row['parent_call_id']} twice")
            self.rows[key] = row
        elif "fault" in row:
            self.times_amiss.append(row)
        else:
            self.packets.append(row)

    def request(self, span: dict) -> dict:
        """A whole request: its facts and all its calls, parents first."""
        facts = {name: span[name] for name in ("request_id", "index", "phase", "scheduled_ns", "method", "path", "status")}
        if span["status"] == 0:
            raise Incomplete(f"request {span['index']} failed: {span['error']}")
        return {**facts, "calls": self.calls("client", span["calls"][0], None, "root")}

    def calls(self, asker: str, made: dict, parent: str | None, link: str) -> list:
        """A call as its maker logged it, what relays made of it, and what the service at its end did."""
        endpoint = self.endpoints.get(made["remote"])
        if (asker, endpoint) not in self.shape.chains:
            raise RuntimeError(f"{asker} has no business at {made['remote']}")
        found, relay, last = [], None, self.shape.chains[asker, endpoint][-1]
        for answerer in self.shape.chains[asker, endpoint]:
            row = self.rows.get((answerer, made["call_id"]))
            call = self.call(self.shape.legs[asker, answerer], answerer, made, relay, row, parent, link)
            found.append({**call, "asker": asker, "answerer": answerer})
            if row is None and made.get("status") == 0:
                return found  # it failed before it got here
            asker, parent, link, relay = answerer, found[-1]["call_id"], "queue" if made["protocol"] == "nats" else "relay", row
            if answerer == last or row and not row.get("upstream", "-:0")[-1].isdigit():
                break  # the service, or a relay that answered by itself
        if row and row.get("service"):
            self.check_times(made, row, found[-1])
            found[-1]["served"] = [row["t_read_after_ns"], row["t_write_before_ns"]]
            for inner in row["calls"]:
                found += self.calls(answerer, inner, parent, "work")
        elif answerer in self.logging and not row:
            raise Incomplete(f"{answerer} does not know call {made['call_id']}")
        return found

    @property
    def logging(self) -> set:
        """Who keeps a log, other than stores."""
        return {name for name, _ in self.rows}

    def call(self, leg: Leg, answerer: str, made: dict, relay: dict | None, row: dict | None, parent: str | None, link: str) -> dict:
        """One call of the truth: the maker's own, or the one that `relay` made of it; `row` is of who answered, where it keeps a log."""
        if link == "relay" and not row and answerer in self.logging and made.get("status") != 0:
            raise Incomplete(f"{answerer} does not know call {made['call_id']}")
        facts = {"link": link, "protocol": made["protocol"]}
        if relay and link == "relay":
            times, client, server = relay_times(relay), relay.get("upstream_local") or (row or {}).get("peer", ""), relay["upstream"]
            facts |= {"request_type": relay["method"], "resource": relay["path"], "status": relay["status"], "t_resolution_ns": RELAY_RESOLUTION_NS}
        elif link == "queue":
            times, client, server = (row["t_read_after_ns"],) * 2, row["peer"], row["local"]
            facts |= {"request_type": "MSG", "resource": made["resource"], "t_resolution_ns": RELAY_RESOLUTION_NS}
        else:
            times, client, server = (made["t_start_ns"], made["t_end_ns"]), made["local"] or (row or {}).get("peer", ""), made["remote"]
            facts |= {"request_type": made["operation"], "resource": made["resource"]}
            facts |= {name: made[name] for name in ("status", "error", "order", "pipeline", "step", "attempt") if name in made}
        seen = (row["local"], row["peer"]) if row else (server, client)
        return {
            "call_id": made["call_id"] if link in ("root", "work") else f"{made['call_id']}-{answerer}", "parent_call_id": parent, **facts,
            "client": plain(client), "server": server, "server_seen": {"local": plain(seen[0]), "peer": plain(seen[1])},
            "t_start_ns": times[0], "t_end_ns": times[1], "points": self.points(leg), "programs": list(leg.programs),
            **({"kind": leg.kind} if leg.kind else {}),
        }

    def points(self, leg: Leg) -> list:
        """What a leg crosses, without the points that a fault lets packets pass unseen."""
        unseen = {right for pair in self.skipped for left, right in zip(leg.points, leg.points[1:]) if (left, right) == pair}
        return [point for point in leg.points if point not in unseen]

    def check_times(self, made: dict, row: dict, call: dict) -> None:
        """Whether a service worked within the call that asked it (after it, where nobody waits), and asked others while it worked."""
        begin, end = row["t_read_after_ns"], row["t_write_before_ns"]
        waits = call["link"] != "queue"
        fits = begin >= made["t_start_ns"] - SLACK_NS and (not waits or end <= made["t_end_ns"] + SLACK_NS)
        for inner in row["calls"]:
            fits &= inner["t_start_ns"] >= begin - SLACK_NS and inner["t_end_ns"] <= end + SLACK_NS
        if not fits:
            self.amiss.append(call["call_id"])

    def delays(self, whole: list) -> list:
        """The packets that were held back, where, and whose they were: a relay's call bears the id of the one that it relays."""
        gateway = self.shape.gateway
        between = [f"{gateway.netns}/{gateway.inner}", f"{gateway.netns}/{gateway.outer}"]
        crossing = {call["call_id"].partition("-")[0]: call["call_id"] for request in whole for call in request["calls"]
                    if between[0] in call["points"]}
        holds = (packet for packet in self.packets if "hold_ns" in packet and packet.get("call_id") in crossing)
        return [{"where": gateway.netns, "between": between, **hold, "call_id": crossing[hold["call_id"]]} for hold in holds]


def requests(logs: Logs) -> tuple:
    """All whole requests in order, and why others are not."""
    whole, incomplete = [], []
    for span in sorted(logs.client, key=lambda span: (span["phase"] == "measured", span["index"])):
        try:
            whole.append(logs.request(span))
        except Incomplete as why:
            incomplete.append(str(why))
    return whole, incomplete


def check(whole: list, incomplete: list, amiss: list, breaks: bool) -> dict:
    """What the truth says of itself; fails when it is not good enough to judge others by. Some faults break requests."""
    n_calls = sum(len(request["calls"]) for request in whole)
    if not breaks and len(incomplete) > MOST_AMISS * (len(whole) + len(incomplete)):
        raise RuntimeError(f"{len(incomplete)} requests are incomplete: {incomplete[0]}")
    if not breaks and len(amiss) > MOST_AMISS * n_calls:
        raise RuntimeError(f"{len(amiss)} of {n_calls} calls lie outside their parents: {amiss[0]}")
    return {"incomplete": incomplete, "outside_parent": amiss, "n_calls": n_calls}


def build(shape: Topology, folder: str, facts: dict, faults: list, clocks: list) -> dict:
    """Writes truth.json; `facts` are those of the recording as a whole, `clocks` those that were bent."""
    logs = Logs(shape, folder, faults)
    whole, incomplete = requests(logs)
    made = {
        "recording": {**facts, "checked": check(whole, incomplete, logs.amiss, any(fault.breaks for fault in faults))},
        "servers": {name: dotted(endpoint) for name, endpoint in shape.servers.items() if endpoint[1]},
        "requests": whole,
        "faults": [fault.facts() for fault in faults],
        "faulty_times": logs.times_amiss,
        "clocks": clocks,
        "delays": logs.delays(whole),
        "drops": [packet for packet in logs.packets if packet.get("dropped")],
    }
    if facts["delay"] and len(made["delays"]) != 1:
        raise RuntimeError(f"{len(made['delays'])} packets were held, not one")
    path = os.path.join(folder, "truth.json")
    with open(path + ".partial", "w") as file:
        json.dump(made, file, indent=1)
    os.replace(path + ".partial", path)
    return made
