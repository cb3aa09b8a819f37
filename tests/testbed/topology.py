"""The testbed's shape, written once as data: namespaces, interfaces, addresses, ports, and what each kind of call crosses.

It never runs a command and never opens a socket.
"""

from typing import NamedTuple

PREFIX = "ap-"
HYPERVISOR = "hv"
PREFIX_LENGTH = 24


class Link(NamedTuple):
    """One veth pair: an interface inside a namespace, and its other end, a port of a bridge in the hypervisor."""

    netns: str
    interface: str
    bridge: str
    port: str
    address: str


LINKS = (
    Link("client", "eth0", "br0", "p-client", "10.77.0.10"),
    Link("gw7", "eth0", "br0", "p-gw7", "10.77.0.20"),
    Link("podA", "eth0", "br0", "p-podA", "10.77.0.30"),
    Link("l4gw", "eth0", "br0", "p-l4gw0", "10.77.0.1"),
    Link("l4gw", "eth1", "br1", "p-l4gw1", "10.77.1.1"),
    Link("podB", "eth0", "br1", "p-podB", "10.77.1.40"),
    Link("podC", "eth0", "br1", "p-podC", "10.77.1.60"),
    Link("stores", "eth0", "br1", "p-stores", "10.77.1.50"),
)

BRIDGES = tuple(dict.fromkeys(link.bridge for link in LINKS))
NAMESPACES = (HYPERVISOR, *dict.fromkeys(link.netns for link in LINKS))
ADDRESS = {(link.netns, link.interface): link.address for link in LINKS}

# Where each server listens.
GATEWAY = (ADDRESS["gw7", "eth0"], 80)
SIDECAR = (ADDRESS["podA", "eth0"], 8080)
SERVICE_A = ("127.0.0.1", 9001)
SERVICE_B = (ADDRESS["podB", "eth0"], 9002)
# podC's sidecar, and the service behind it.
MESH = (ADDRESS["podC", "eth0"], 8082)
SERVICE_C = ("127.0.0.1", 9004)
REDIS = (ADDRESS["stores", "eth0"], 6379)
POSTGRES = (ADDRESS["stores", "eth0"], 5432)
# What A dials: the L4 gateway, which rewrites both addresses and both ports.
BALANCER = (ADDRESS["l4gw", "eth0"], 7002)
MASQUERADE_PORTS = "40000-49999"

# The observation points: every one gets a capture of its own.
POINTS = (
    ("client", "eth0"),
    *((HYPERVISOR, link.port) for link in LINKS),
    ("gw7", "eth0"),
    ("podA", "eth0"),
    ("podA", "lo"),
    ("l4gw", "eth0"),
    ("l4gw", "eth1"),
    ("podB", "eth0"),
    ("podC", "eth0"),
    ("podC", "lo"),
    ("stores", "eth0"),
)

# The points a request crosses on each kind of call, in order (its response crosses them backwards).
CROSSED = {
    "client>gw7": ("client/eth0", "hv/p-client", "hv/p-gw7", "gw7/eth0"),
    "gw7>sidecar": ("gw7/eth0", "hv/p-gw7", "hv/p-podA", "podA/eth0"),
    "sidecar>A": ("podA/lo",),
    "A>B": ("podA/eth0", "hv/p-podA", "hv/p-l4gw0", "l4gw/eth0", "l4gw/eth1", "hv/p-l4gw1", "hv/p-podB", "podB/eth0"),
    "B>mesh": ("podB/eth0", "hv/p-podB", "hv/p-podC", "podC/eth0"),
    "mesh>C": ("podC/lo",),
    "C>B": ("podC/eth0", "hv/p-podC", "hv/p-podB", "podB/eth0"),
    "C>store": ("podC/eth0", "hv/p-podC", "hv/p-stores", "stores/eth0"),
    "B>store": ("podB/eth0", "hv/p-podB", "hv/p-stores", "stores/eth0"),
}

# The programs at both ends of each kind of call, as the kernel names them.
PROGRAMS = {
    "client>gw7": ("node", "nginx"),
    "gw7>sidecar": ("nginx", "haproxy"),
    "sidecar>A": ("haproxy", "python3"),
    "A>B": ("python3", "python3"),
    "B>mesh": ("python3", "envoy"),
    "mesh>C": ("envoy", "service_c"),
    "C>B": ("service_c", "python3"),
    "C>redis": ("service_c", "redis-server"),
    "B>redis": ("python3", "redis-server"),
    "B>postgres": ("python3", "postgres"),
}


def real_name(netns: str) -> str:
    """The kernel's name of a namespace."""
    return PREFIX + netns


def dotted(endpoint: tuple) -> str:
    """`ip:port` of a socket address."""
    return f"{endpoint[0]}:{endpoint[1]}"
