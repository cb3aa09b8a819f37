"""Creates and removes the namespaces, veths, bridges and NAT rules that topology.py describes.

It never touches a namespace without the testbed's prefix, nor the machine's own interfaces, routes and firewall.
"""

import os
import subprocess

import topology
from topology import HYPERVISOR, LINKS, PREFIX, real_name

NETNS_DIRECTORY = "/run/netns"


def run(*argv: str) -> None:
    """Runs one command; its own words become the error."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")


def inside(netns: str | None, *argv: str) -> list:
    """The command line that runs `argv` in one of our namespaces (the process keeps its pid), or, without one, as it is."""
    if netns is None:
        return list(argv)
    return ["ip", "netns", "exec", real_name(netns), *argv]


def existing() -> list:
    """Names of all our namespaces that are there, also those of an earlier, crashed run."""
    if not os.path.isdir(NETNS_DIRECTORY):
        return []
    return sorted(name for name in os.listdir(NETNS_DIRECTORY) if name.startswith(PREFIX))


def processes_inside() -> list:
    """Pids of everything that runs in our namespaces."""
    pids = []
    for name in existing():
        listing = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout
        pids += [int(pid) for pid in listing.split()]
    return pids


def add_namespace(netns: str) -> None:
    """A namespace with a loopback, and without IPv6's own chatter."""
    run("ip", "netns", "add", real_name(netns))
    settings = " ".join(f"net/ipv6/conf/{scope}/disable_ipv6" for scope in ("all", "default"))
    run(*inside(netns, "sh", "-c", f"cd /proc/sys; for s in {settings}; do [ ! -e $s ] || echo 1 > $s; done"))
    run("ip", "-n", real_name(netns), "link", "set", "lo", "up")


def add_bridge(bridge: str) -> None:
    """A bridge of the hypervisor."""
    hypervisor = real_name(HYPERVISOR)
    run("ip", "-n", hypervisor, "link", "add", bridge, "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
    run("ip", "-n", hypervisor, "link", "set", bridge, "up")


def add_link(link: topology.Link) -> None:
    """A veth pair from a namespace to its bridge; offloads stay as the kernel gives them."""
    hypervisor, netns = real_name(HYPERVISOR), real_name(link.netns)
    run("ip", "-n", hypervisor, "link", "add", link.port, "type", "veth", "peer", "name", link.interface, "netns", netns)
    run("ip", "-n", hypervisor, "link", "set", link.port, "master", link.bridge, "up")
    run("ip", "-n", netns, "address", "add", f"{link.address}/{topology.PREFIX_LENGTH}", "dev", link.interface)
    run("ip", "-n", netns, "link", "set", link.interface, "up")


def add_balancer() -> None:
    """The L4 gateway: routes, rewrites the destination to B, and the source to itself with a port of its own choice."""
    run(*inside("l4gw", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"))
    nat = inside("l4gw", "iptables", "-w", "-t", "nat")
    target = topology.dotted(topology.SERVICE_B)
    port = str(topology.BALANCER[1])
    run(*nat, "-A", "PREROUTING", "-i", "eth0", "-p", "tcp", "--dport", port, "-j", "DNAT", "--to-destination", target)
    run(*nat, "-A", "POSTROUTING", "-o", "eth1", "-p", "tcp", "-j", "MASQUERADE",
        "--to-ports", topology.MASQUERADE_PORTS, "--random")


def up() -> None:
    """Builds the whole network; the caller has removed what was left of another."""
    for netns in topology.NAMESPACES:
        add_namespace(netns)
    for bridge in topology.BRIDGES:
        add_bridge(bridge)
    for link in LINKS:
        add_link(link)
    add_balancer()


def down() -> None:
    """Removes every namespace of ours; veths, bridges and rules go with them."""
    for name in existing():
        run("ip", "netns", "delete", name)
    # `ip netns add` turns its directory into a mount point: with no namespace left it is of no use to anyone.
    if os.path.isdir(NETNS_DIRECTORY) and not os.listdir(NETNS_DIRECTORY):
        if mounted(NETNS_DIRECTORY):
            run("umount", NETNS_DIRECTORY)
        os.rmdir(NETNS_DIRECTORY)


def mounted(directory: str) -> bool:
    """Whether a folder is a mount point, also one bound to itself (os.path.ismount does not see those)."""
    with open("/proc/self/mountinfo") as file:
        return any(line.split()[4] == directory for line in file)


def interfaces(netns: str) -> dict:
    """Interface index → name in one namespace (an SLL2 capture has only the index)."""
    listing = subprocess.run(["ip", "-n", real_name(netns), "-o", "link"], capture_output=True, text=True, check=True)
    rows = (line.split(": ") for line in listing.stdout.splitlines())
    return {int(row[0]): row[1].split("@")[0] for row in rows}
