"""The mesh's shape, written once: namespaces, interfaces, addresses, ports, and what each kind of call crosses.

It never runs a command and never opens a socket.
"""

import os

import processes
from topology import Bridge, Forward, Gateway, Leg, Link, Topology, Tunnel

# What VXLAN's own headers leave of 1,500.
INNER_MTU = 1450
# The way from the L4 gateway to podD: A's requests to D are larger, and are cut into IP fragments there.
NARROW_MTU = 600

BRIDGES = (Bridge("br0", "hv1"), Bridge("br1", "hv1", INNER_MTU), Bridge("br2", "hv2", INNER_MTU))
LINKS = (
    Link("client", "eth0", "br0", "p-client", "10.77.0.10"),
    Link("gw7", "eth0", "br0", "p-gw7", "10.77.0.20"),
    Link("podA", "eth0", "br0", "p-podA", "10.77.0.30"),
    Link("dns", "eth0", "br0", "p-dns", "10.77.0.53"),
    Link("l4gw", "eth0", "br0", "p-l4gw0", "10.77.0.1"),
    Link("l4gw", "eth1", "br1", "p-l4gw1", "10.77.1.1"),
    Link("podB", "eth0", "br1", "p-podB", "10.77.1.40"),
    Link("podD", "eth0", "br1", "p-podD", "10.77.1.70", "fd77:1::70"),
    Link("nats", "eth0", "br1", "p-nats", "10.77.1.80"),
    Link("podF", "eth0", "br1", "p-podF", "10.77.1.90"),
    Link("podC", "eth0", "br2", "p-podC", "10.77.1.60"),
    Link("podE", "eth0", "br2", "p-podE", "10.77.1.100", "fd77:1::100"),
    Link("podG", "eth0", "br2", "p-podG", "10.77.1.110"),
    Link("stores", "eth0", "br2", "p-stores", "10.77.1.50"),
)
TUNNEL = Tunnel(77, ("br1", "br2"), "cable", ("192.168.77.1", "192.168.77.2"))
ADDRESS = {(link.netns, link.interface): link.address for link in LINKS}
HYPERVISOR = {bridge.name: bridge.hypervisor for bridge in BRIDGES}

# Where each server listens: gateways and sidecars first.
GATEWAY = (ADDRESS["gw7", "eth0"], 80)
IN_A = (ADDRESS["podA", "eth0"], 8080)
OUT_A = ("127.0.0.1", 15001)
OUT_A_TLS = ("127.0.0.1", 15002)
IN_B = (ADDRESS["podB", "eth0"], 8080)
IN_B_TLS = (ADDRESS["podB", "eth0"], 8443)
CACHE_B = ("127.0.0.1", 15003)
IN_D = (ADDRESS["podD", "eth0"], 8080)
# What podA dials of the L4 gateway: B's two listeners, and D's.
TO_B = (ADDRESS["l4gw", "eth0"], 7002)
TO_B_TLS = (ADDRESS["l4gw", "eth0"], 7443)
TO_D = (ADDRESS["l4gw", "eth0"], 7004)
# The services.
SERVICE_A = ("127.0.0.1", 9001)
SERVICE_B = ("127.0.0.1", 9002)
SERVICE_C = (ADDRESS["podC", "eth0"], 9003)
SERVICE_D = ("127.0.0.1", 9004)
SERVICE_E = ("fd77:1::100", 9005)
SERVICE_G = (ADDRESS["podG", "eth0"], 50051)
# The stores.
DNS = (ADDRESS["dns", "eth0"], 53)
NATS = (ADDRESS["nats", "eth0"], 4222)
REDIS = (ADDRESS["stores", "eth0"], 6379)
POSTGRES = (ADDRESS["stores", "eth0"], 5432)
# B's own redis, a unix socket: in the state folder, beside everything else of a run.
REDIS_B = (os.path.join(processes.STATE, "redis-b.sock"), 0)
NAME_OF_D = "d.mesh.test"
SUBJECT = "orders.created"


def way(asker: str, answerer: str) -> tuple:
    """The points between two interfaces (`podA/eth0`) of the same network."""
    ends = [next(link for link in LINKS if f"{link.netns}/{link.interface}" == end) for end in (asker, answerer)]
    ports = [f"{HYPERVISOR[link.bridge]}/{link.port}" for link in ends]
    near, far = (HYPERVISOR[link.bridge] for link in ends)
    cable, device = TUNNEL.interface, TUNNEL.device
    tunnel = (f"{near}/{device}", f"{near}/{cable}", f"{far}/{cable}", f"{far}/{device}") if near != far else ()
    return (asker, ports[0], *tunnel, ports[1], answerer)


def through_gateway(answerer: str) -> tuple:
    """The points from podA through the L4 gateway to an interface behind it."""
    return way("podA/eth0", "l4gw/eth0") + way("l4gw/eth1", answerer)


TOPOLOGY = Topology(
    name="mesh", bridges=BRIDGES, links=LINKS, tunnel=TUNNEL,
    gateway=Gateway("l4gw", "eth0", "eth1", "40000-49999", (
        Forward(TO_B[1], IN_B), Forward(TO_B_TLS[1], IN_B_TLS), Forward(TO_D[1], IN_D, NARROW_MTU))),
    loopbacks=("podA", "podB", "podD"), entry=GATEWAY,
    servers={"gw7": GATEWAY, "inA": IN_A, "A": SERVICE_A, "outA": OUT_A, "tlsA": OUT_A_TLS, "inB": IN_B, "tlsB": IN_B_TLS, "B": SERVICE_B,
             "cacheB": CACHE_B, "C": SERVICE_C, "D": SERVICE_D, "E": SERVICE_E, "G": SERVICE_G, "dns": DNS, "nats": NATS,
             "redis": REDIS, "redisB": REDIS_B, "postgres": POSTGRES},
    chains={
        ("client", GATEWAY): ("gw7", "inA", "A"),
        ("A", OUT_A): ("outA", "inB", "B"),
        ("A", OUT_A_TLS): ("tlsA", "tlsB", "B"),
        ("A", TO_D): ("D",),
        ("A", DNS): ("dns",),
        ("A", NATS): ("nats", "F"),
        ("B", REDIS_B): ("redisB",),
        ("B", CACHE_B): ("cacheB", "C"),
        ("B", SERVICE_G): ("G",),
        ("C", POSTGRES): ("postgres",),
        ("D", SERVICE_E): ("E",),
        ("E", REDIS): ("redis",),
        ("E", POSTGRES): ("postgres",),
        ("F", REDIS): ("redis",),
    },
    legs={
        ("client", "gw7"): Leg(way("client/eth0", "gw7/eth0"), ("node", "nginx")),
        ("gw7", "inA"): Leg(way("gw7/eth0", "podA/eth0"), ("nginx", "envoy")),
        ("inA", "A"): Leg(("podA/lo",), ("envoy", "node")),
        ("A", "outA"): Leg(("podA/lo",), ("node", "envoy")),
        ("A", "tlsA"): Leg(("podA/lo",), ("node", "envoy")),
        ("outA", "inB"): Leg(through_gateway("podB/eth0"), ("envoy", "haproxy")),
        ("tlsA", "tlsB"): Leg(through_gateway("podB/eth0"), ("envoy", "haproxy"), "tls"),
        ("inB", "B"): Leg(("podB/lo",), ("haproxy", "python3")),
        ("tlsB", "B"): Leg(("podB/lo",), ("haproxy", "python3")),
        # The sidecar before D forwards bytes: it is inside the call.
        ("A", "D"): Leg((*through_gateway("podD/eth0"), "podD/lo"), ("node", "service_d")),
        ("A", "dns"): Leg(way("podA/eth0", "dns/eth0"), ("node", "dnsmasq")),
        ("A", "nats"): Leg(way("podA/eth0", "l4gw/eth0") + way("l4gw/eth1", "nats/eth0"), ("node", "nats-server")),
        ("nats", "F"): Leg(way("nats/eth0", "podF/eth0"), ("nats-server", "python3")),
        ("B", "redisB"): Leg((), ("python3", "redis-server"), "unix"),
        ("B", "cacheB"): Leg(("podB/lo",), ("python3", "haproxy")),
        ("cacheB", "C"): Leg(way("podB/eth0", "podC/eth0"), ("haproxy", "service-c")),
        ("B", "G"): Leg(way("podB/eth0", "podG/eth0"), ("python3", "python3")),
        ("C", "postgres"): Leg(way("podC/eth0", "stores/eth0"), ("service-c", "postgres")),
        ("D", "E"): Leg(way("podD/eth0", "podE/eth0"), ("service_d", "java")),
        ("E", "redis"): Leg(way("podE/eth0", "stores/eth0"), ("java", "redis-server")),
        ("E", "postgres"): Leg(way("podE/eth0", "stores/eth0"), ("java", "postgres")),
        ("F", "redis"): Leg(way("podF/eth0", "stores/eth0"), ("python3", "redis-server")),
    },
)
