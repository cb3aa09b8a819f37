"""Joins what each process and relay logged into one truth.json: every request, its calls, and the points each call crossed.

It never reads a capture: nothing in the truth comes from what is to be judged by it.
"""

import json
import os

import topology
from topology import CROSSED, PROGRAMS, dotted

# nginx's clock has milliseconds, and both relays read theirs once per turn of their event loops.
RELAY_RESOLUTION_NS = 2_000_000


def read_lines(folder: str, name: str) -> list:
    """One log, as a list of objects; a log that was not needed is empty."""
    path = os.path.join(folder, "truth", name + ".jsonl")
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return [json.loads(line) for line in file if line.startswith("{")]


def by_request(folder: str, name: str) -> dict:
    """A log keyed by request id, which a relay sees once per request."""
    rows = read_lines(folder, name)
    keyed = {row["request_id"]: row for row in rows}
    if len(keyed) != len(rows):
        raise RuntimeError(f"{name} saw a request id twice")
    return keyed


def call(edge: str, call_id: str, parent: str | None, link: str, protocol: str,
         sockets: tuple, times: tuple, **more) -> dict:
    """One call of the truth; `sockets` are client, server, and the serving side's local and peer."""
    client, server, local, peer = sockets
    return {
        "call_id": call_id, "parent_call_id": parent, "link": link, "protocol": protocol, **more,
        "client": client, "server": server, "server_seen": {"local": local, "peer": peer},
        "t_start_ns": times[0], "t_end_ns": times[1], "points": list(CROSSED[edge]),
        "programs": list(PROGRAMS[edge.replace("store", protocol)]),
    }


class Logs:
    """Every log of a recording, and how to put one request together out of them."""

    def __init__(self, folder: str):
        self.client = read_lines(folder, "client")
        self.nginx = by_request(folder, "nginx")
        self.haproxy = by_request(folder, "haproxy")
        self.service_a = by_request(folder, "service_a")
        self.service_b = {row["parent_call_id"]: row for row in read_lines(folder, "service_b")}
        self.envoy = {row["parent_call_id"]: row for row in read_lines(folder, "envoy")}
        self.service_c = {row["parent_call_id"]: row for row in read_lines(folder, "service_c")}
        self.holds = read_lines(folder, "hold")

    def root(self, span: dict) -> dict:
        """The client's own call to the L7 gateway."""
        made, gateway = span["calls"][0], self.nginx[span["request_id"]]
        return call("client>gw7", made["call_id"], None, "root", "http1",
                    (made["local"], made["remote"], gateway["local"], gateway["peer"]),
                    (made["t_start_ns"], made["t_end_ns"]),
                    request_type=made["operation"], resource=made["resource"], status=made["status"])

    def through_gateway(self, request_id: str, parent: dict) -> dict:
        """The L7 gateway's call to the sidecar; its own port is known from the sidecar."""
        gateway, sidecar = self.nginx[request_id], self.haproxy[request_id]
        end = round(float(gateway["end_s"]) * 1000) * 1_000_000
        start = end - round(float(gateway["upstream_s"]) * 1000) * 1_000_000
        return call("gw7>sidecar", parent["call_id"] + "-gw7", parent["call_id"], "relay", "http1",
                    (sidecar["peer"], gateway["upstream"], sidecar["local"], sidecar["peer"]), (start, end),
                    request_type=gateway["method"], resource=gateway["path"], status=gateway["status"],
                    t_resolution_ns=RELAY_RESOLUTION_NS)

    def through_sidecar(self, request_id: str, parent: dict) -> dict:
        """The sidecar's call to A, on podA's loopback."""
        sidecar, served = self.haproxy[request_id], self.service_a[request_id]
        return call("sidecar>A", parent["call_id"] + "-sidecar", parent["call_id"], "relay", "http1",
                    (sidecar["upstream_local"], sidecar["upstream"], served["local"], served["peer"]),
                    (sidecar["start_us"] * 1000, sidecar["end_us"] * 1000),
                    request_type=sidecar["method"], resource=sidecar["path"], status=sidecar["status"],
                    t_resolution_ns=RELAY_RESOLUTION_NS)

    def to_back(self, made: dict, parent: dict) -> list:
        """A's call to B through the L4 gateway, and B's calls to the stores."""
        served = self.service_b[made["call_id"]]
        asked = call("A>B", made["call_id"], parent["call_id"], "work", "http1",
                     (made["local"], made["remote"], served["local"], served["peer"]),
                     (made["t_start_ns"], made["t_end_ns"]),
                     request_type=made["operation"], resource=made["resource"], status=made["status"], order=made["order"])
        calls = [asked]
        for inner in served["calls"]:
            calls += self.to_prices(inner, asked) if inner["protocol"] == "http1" else [self.to_store("B>store", inner, asked)]
        return calls

    def to_prices(self, made: dict, parent: dict) -> list:
        """B's call to C: to its sidecar, from there over loopback, and C's calls to redis."""
        mesh, served = self.envoy[made["call_id"]], self.service_c[made["call_id"]]
        asked = call("B>mesh", made["call_id"], parent["call_id"], "work", "http1",
                     (made["local"], made["remote"], mesh["local"], mesh["peer"]), (made["t_start_ns"], made["t_end_ns"]),
                     request_type=made["operation"], resource=made["resource"], status=made["status"], order=made["order"])
        start = round(float(mesh["start_s"]) * 1e6) * 1000
        passed_on = call("mesh>C", made["call_id"] + "-envoy", made["call_id"], "relay", "http1",
                         (mesh["upstream_local"], mesh["upstream"], served["local"], served["peer"]),
                         (start, start + int(mesh["duration_ms"]) * 1_000_000),
                         request_type=mesh["method"], resource=mesh["path"], status=mesh["status"],
                         t_resolution_ns=RELAY_RESOLUTION_NS)
        calls = [asked, passed_on]
        for inner in served["calls"]:
            calls += self.to_rates(inner, passed_on) if inner["protocol"] == "http1" else [self.to_store("C>store", inner, passed_on)]
        return calls

    def to_rates(self, made: dict, parent: dict) -> list:
        """C's call back to B, and B's calls to the stores."""
        served = self.service_b[made["call_id"]]
        asked = call("C>B", made["call_id"], parent["call_id"], "work", "http1",
                     (made["local"], made["remote"], served["local"], served["peer"]), (made["t_start_ns"], made["t_end_ns"]),
                     request_type=made["operation"], resource=made["resource"], status=made["status"], order=made["order"])
        return [asked, *(self.to_store("B>store", inner, asked) for inner in served["calls"])]

    def to_store(self, edge: str, made: dict, parent: dict) -> dict:
        """One round trip of a service to a store; no address changes on the way."""
        more = {name: made[name] for name in ("pipeline", "step") if name in made}
        return call(edge, made["call_id"], parent["call_id"], "work", made["protocol"],
                    (made["local"], made["remote"], made["remote"], made["local"]),
                    (made["t_start_ns"], made["t_end_ns"]),
                    request_type=made["operation"], resource=made["resource"], order=made["order"], **more)

    def request(self, span: dict) -> dict:
        """A whole request: its facts and all its calls, parents first."""
        facts = {name: span[name] for name in ("request_id", "index", "phase", "scheduled_ns", "method", "path", "status")}
        if span["status"] == 0:
            raise RuntimeError(f"request {span['index']} failed: {span['error']}")
        calls = [self.root(span)]
        calls.append(self.through_gateway(span["request_id"], calls[-1]))
        calls.append(self.through_sidecar(span["request_id"], calls[-1]))
        at_a = calls[-1]
        for made in self.service_a[span["request_id"]]["calls"]:
            calls += self.to_back(made, at_a)
        return {**facts, "calls": calls}

    def delays(self) -> list:
        """What was held back on purpose, and where."""
        return [{"where": "l4gw", "between": ["l4gw/eth0", "l4gw/eth1"], **hold} for hold in self.holds]


def build(folder: str, facts: dict) -> dict:
    """Writes truth.json; `facts` are those of the recording as a whole."""
    logs = Logs(folder)
    in_order = sorted(logs.client, key=lambda span: (span["phase"] == "measured", span["index"]))
    requests = [logs.request(span) for span in in_order]
    made = {
        "recording": facts,
        "servers": {"gw7": dotted(topology.GATEWAY), "sidecar": dotted(topology.SIDECAR), "A": dotted(topology.SERVICE_A),
                    "balancer": dotted(topology.BALANCER), "B": dotted(topology.SERVICE_B), "mesh": dotted(topology.MESH), "C": dotted(topology.SERVICE_C),
                    "redis": dotted(topology.REDIS), "postgres": dotted(topology.POSTGRES)},
        "requests": requests,
        "delays": logs.delays(),
    }
    if facts["delay"] and len(made["delays"]) != 1:
        raise RuntimeError(f"{len(made['delays'])} packets were held, not one")
    path = os.path.join(folder, "truth.json")
    with open(path + ".partial", "w") as file:
        json.dump(made, file, indent=1)
    os.replace(path + ".partial", path)
    return made
