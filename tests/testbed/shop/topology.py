"""The shop's shape, written once: namespaces, interfaces, addresses, ports, and what each kind of call crosses.

It never runs a command and never opens a socket.
"""

from topology import Bridge, Forward, Gateway, Leg, Link, Topology

BRIDGES = (Bridge("br0", "hv"), Bridge("br1", "hv"))
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
# What A dials: the L4 gateway.
BALANCER = (ADDRESS["l4gw", "eth0"], 7002)

B_TO_STORES = ("podB/eth0", "hv/p-podB", "hv/p-stores", "stores/eth0")
A_TO_B = ("podA/eth0", "hv/p-podA", "hv/p-l4gw0", "l4gw/eth0", "l4gw/eth1", "hv/p-l4gw1", "hv/p-podB", "podB/eth0")

TOPOLOGY = Topology(
    name="shop", bridges=BRIDGES, links=LINKS, tunnel=None,
    gateway=Gateway("l4gw", "eth0", "eth1", "40000-49999", (Forward(BALANCER[1], SERVICE_B),)),
    loopbacks=("podA", "podC"), entry=GATEWAY,
    servers={"gw7": GATEWAY, "sidecar": SIDECAR, "A": SERVICE_A, "balancer": BALANCER, "B": SERVICE_B, "mesh": MESH,
             "C": SERVICE_C, "redis": REDIS, "postgres": POSTGRES},
    chains={
        ("client", GATEWAY): ("gw7", "sidecar", "A"),
        ("A", BALANCER): ("B",),
        ("B", MESH): ("mesh", "C"),
        ("B", REDIS): ("redis",),
        ("B", POSTGRES): ("postgres",),
        ("C", SERVICE_B): ("B",),
        ("C", REDIS): ("redis",),
    },
    legs={
        ("client", "gw7"): Leg(("client/eth0", "hv/p-client", "hv/p-gw7", "gw7/eth0"), ("node", "nginx")),
        ("gw7", "sidecar"): Leg(("gw7/eth0", "hv/p-gw7", "hv/p-podA", "podA/eth0"), ("nginx", "haproxy")),
        ("sidecar", "A"): Leg(("podA/lo",), ("haproxy", "python3")),
        ("A", "B"): Leg(A_TO_B, ("python3", "python3")),
        ("B", "mesh"): Leg(("podB/eth0", "hv/p-podB", "hv/p-podC", "podC/eth0"), ("python3", "envoy")),
        ("mesh", "C"): Leg(("podC/lo",), ("envoy", "service_c")),
        ("C", "B"): Leg(("podC/eth0", "hv/p-podC", "hv/p-podB", "podB/eth0"), ("service_c", "python3")),
        ("C", "redis"): Leg(("podC/eth0", "hv/p-podC", "hv/p-stores", "stores/eth0"), ("service_c", "redis-server")),
        ("B", "redis"): Leg(B_TO_STORES, ("python3", "redis-server")),
        ("B", "postgres"): Leg(B_TO_STORES, ("python3", "postgres")),
    },
)
