"""What a topology is, as data: namespaces, links, what each kind of call crosses, and who passes on what to whom.

It never runs a command and never opens a socket.
"""

import importlib
from typing import NamedTuple

PREFIX = "ap-"
PREFIX_LENGTH, PREFIX_LENGTH_6 = 24, 64
NAMES = ("shop", "mesh")


class Link(NamedTuple):
    """One veth pair: an interface inside a namespace, and its other end, a port of a bridge in a hypervisor."""

    netns: str
    interface: str
    bridge: str
    port: str
    address: str
    address_6: str = ""


class Bridge(NamedTuple):
    """A switch inside a hypervisor, a namespace too; `mtu` is that of all its links."""

    name: str
    hypervisor: str
    mtu: int = 1500


class Tunnel(NamedTuple):
    """A VXLAN between the bridges of two hypervisors, over a cable of its own."""

    number: int
    bridges: tuple
    interface: str  # of the cable, at both ends
    addresses: tuple

    @property
    def device(self) -> str:
        """The interface whose packets are those within the tunnel, at both ends."""
        return f"vxlan{self.number}"


class Forward(NamedTuple):
    """A port of the L4 gateway whose packets go on to another address, from an address and port of the gateway's own."""

    port: int
    target: tuple
    mtu: int = 0  # of the way on, where it is smaller than the links'


class Gateway(NamedTuple):
    """A namespace that routes between two interfaces and rewrites both ends of what it forwards."""

    netns: str
    inner: str
    outer: str
    source_ports: str
    forwards: tuple


class Leg(NamedTuple):
    """What lies between two processes: the points that a request crosses (its response crosses them backwards), and both programs."""

    points: tuple
    programs: tuple
    kind: str = ""  # `tls`: only its ciphertext passes the points; `unix`: it passes none


class Topology(NamedTuple):
    """Everything about one topology that is not a running process."""

    name: str
    bridges: tuple
    links: tuple
    tunnel: Tunnel | None
    gateway: Gateway
    loopbacks: tuple  # namespaces whose loopback is a point, too
    entry: tuple  # where the client's requests go
    servers: dict  # name → endpoint, as it is dialled
    chains: dict  # (who asks, endpoint) → who answers, relays first
    legs: dict  # (who asks, who answers) → Leg

    @property
    def namespaces(self) -> tuple:
        """All of them, hypervisors first."""
        hypervisors = (bridge.hypervisor for bridge in self.bridges)
        return tuple(dict.fromkeys((*hypervisors, *(link.netns for link in self.links))))

    @property
    def points(self) -> tuple:
        """The observation points: every one gets a capture of its own."""
        hypervisor = {bridge.name: bridge.hypervisor for bridge in self.bridges}
        ports = ((hypervisor[link.bridge], link.port) for link in self.links)
        tunnels = (self.tunnel.interface, self.tunnel.device) if self.tunnel else ()
        cables = ((hypervisor[name], interface) for interface in tunnels for name in self.tunnel.bridges)
        interfaces = ((link.netns, link.interface) for link in self.links)
        return (*ports, *cables, *interfaces, *((netns, "lo") for netns in self.loopbacks))


def load(name: str) -> Topology:
    """A topology by its name."""
    return importlib.import_module(f"{name}.topology").TOPOLOGY


def real_name(netns: str) -> str:
    """The kernel's name of a namespace."""
    return PREFIX + netns


def dotted(endpoint: tuple) -> str:
    """`address:port` of a socket address, `[address]:port` of IPv6."""
    host, port = endpoint[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
