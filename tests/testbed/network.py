"""Creates and removes the namespaces, veths, bridges, tunnels, routes and NAT rules that a topology describes.

It never touches a namespace without the testbed's prefix, nor the machine's own interfaces, routes and firewall.
"""

import os
import subprocess

import topology
from topology import PREFIX, Bridge, Link, Topology, real_name

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


def add_bridge(bridge: Bridge) -> None:
    """A bridge of a hypervisor."""
    hypervisor = real_name(bridge.hypervisor)
    run("ip", "-n", hypervisor, "link", "add", bridge.name, "type", "bridge", "stp_state", "0", "mcast_snooping", "0")
    run("ip", "-n", hypervisor, "link", "set", bridge.name, "up")


def add_link(link: Link, bridge: Bridge) -> None:
    """A veth pair from a namespace to its bridge; offloads stay as the kernel gives them."""
    hypervisor, netns = real_name(bridge.hypervisor), real_name(link.netns)
    run("ip", "-n", hypervisor, "link", "add", link.port, "mtu", str(bridge.mtu), "type", "veth",
        "peer", "name", link.interface, "mtu", str(bridge.mtu), "netns", netns)
    run("ip", "-n", hypervisor, "link", "set", link.port, "master", bridge.name, "up")
    run("ip", "-n", netns, "address", "add", f"{link.address}/{topology.PREFIX_LENGTH}", "dev", link.interface)
    if link.address_6:
        set_kernel(link.netns, f"net/ipv6/conf/{link.interface}/disable_ipv6", "0")
        run("ip", "-n", netns, "address", "add", f"{link.address_6}/{topology.PREFIX_LENGTH_6}", "dev", link.interface, "nodad")
    run("ip", "-n", netns, "link", "set", link.interface, "up")


def set_kernel(netns: str, name: str, value: str) -> None:
    """A kernel setting of one namespace."""
    run(*inside(netns, "sh", "-c", f"echo {value} > /proc/sys/{name}"))


def add_tunnel(shape: Topology) -> None:
    """A cable between two hypervisors, and a VXLAN over it that joins their bridges into one network."""
    tunnel = shape.tunnel
    hypervisors = [next(bridge.hypervisor for bridge in shape.bridges if bridge.name == name) for name in tunnel.bridges]
    ends = [real_name(hypervisor) for hypervisor in hypervisors]
    run("ip", "-n", ends[0], "link", "add", tunnel.interface, "type", "veth", "peer", "name", tunnel.interface, "netns", ends[1])
    for end, bridge, own, other in zip(ends, tunnel.bridges, tunnel.addresses, reversed(tunnel.addresses)):
        device = tunnel.device
        run("ip", "-n", end, "address", "add", f"{own}/24", "dev", tunnel.interface)
        run("ip", "-n", end, "link", "set", tunnel.interface, "up")
        run("ip", "-n", end, "link", "add", device, "type", "vxlan", "id", str(tunnel.number), "local", own, "remote", other,
            "dstport", "4789", "dev", tunnel.interface)
        run("ip", "-n", end, "link", "set", device, "master", bridge, "up")


def add_gateway(shape: Topology) -> None:
    """The L4 gateway: routes, rewrites the destination of the ports it forwards, and the source to itself with a port of its own choice."""
    gateway = shape.gateway
    set_kernel(gateway.netns, "net/ipv4/ip_forward", "1")
    nat = inside(gateway.netns, "iptables", "-w", "-t", "nat")
    for forward in gateway.forwards:
        run(*nat, "-A", "PREROUTING", "-i", gateway.inner, "-p", "tcp", "--dport", str(forward.port),
            "-j", "DNAT", "--to-destination", topology.dotted(forward.target))
        if forward.mtu:
            run("ip", "-n", real_name(gateway.netns), "route", "add", forward.target[0], "dev", gateway.outer, "mtu", "lock", str(forward.mtu))
    run(*nat, "-A", "POSTROUTING", "-o", gateway.outer, "-p", "tcp", "-j", "MASQUERADE", "--to-ports", gateway.source_ports, "--random")
    add_routes(shape)


def add_routes(shape: Topology) -> None:
    """The ways from the gateway's inner network to the outer one. Nobody asks for the path's MTU: what is too large is cut on the way."""
    gateway = shape.gateway
    at = {link.interface: link for link in shape.links if link.netns == gateway.netns}
    inner, outer = at[gateway.inner], at[gateway.outer]
    beyond = outer.address.rpartition(".")[0] + f".0/{topology.PREFIX_LENGTH}"
    for link in shape.links:
        if link.bridge == inner.bridge and link.netns != gateway.netns:
            run("ip", "-n", real_name(link.netns), "route", "add", beyond, "via", inner.address)
            if any(forward.mtu for forward in gateway.forwards):
                set_kernel(link.netns, "net/ipv4/ip_no_pmtu_disc", "1")


def up(shape: Topology) -> None:
    """Builds a whole network; the caller has removed what was left of another."""
    for netns in shape.namespaces:
        add_namespace(netns)
    for bridge in shape.bridges:
        add_bridge(bridge)
    bridges = {bridge.name: bridge for bridge in shape.bridges}
    for link in shape.links:
        add_link(link, bridges[link.bridge])
    if shape.tunnel:
        add_tunnel(shape)
    add_gateway(shape)


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
