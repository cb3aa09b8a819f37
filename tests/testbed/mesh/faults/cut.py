"""Faults of the network: connections reset by the gateway, packets too large that vanish without a word, a tap that is skipped.

They never outlive the namespaces that they are made in.
"""

import os
import subprocess

import network
import processes
from mesh import topology
from mesh.faults.fault import Fault
from topology import real_name


class Reset(Fault):
    """The gateway resets connections to D: one in forty packets with data is answered so."""

    name, culprit, kind, breaks = "reset", "l4gw", "reset", True
    RULE = ("FORWARD", "-i", "eth0", "-o", "eth1", "-p", "tcp", "-d", topology.IN_D[0], "--tcp-flags", "PSH", "PSH",
            "-m", "statistic", "--mode", "nth", "--every", "40", "--packet", "0", "-j", "REJECT", "--reject-with", "tcp-reset")

    def begin(self, truth: str) -> None:
        network.run(*network.inside("l4gw", "iptables", "-w", "-I", *self.RULE))

    def end(self) -> None:
        network.run(*network.inside("l4gw", "iptables", "-w", "-D", *self.RULE))


class BlackHole(Fault):
    """A's packets may not be cut, those to D are too large for the way, and nobody says so: searches hang until A gives up."""

    name, culprit, kind, breaks = "mtu", "l4gw", "packets too large", True
    RULE = ("OUTPUT", "-p", "icmp", "-j", "DROP")

    def begin(self, truth: str) -> None:
        network.set_kernel("podA", "net/ipv4/ip_no_pmtu_disc", "0")
        network.run(*network.inside("l4gw", "iptables", "-w", "-I", *self.RULE))

    # It has no end: what was given up is still sent again, and would be answered. Both settings go with their namespaces.


class Bypass(Fault):
    """Packets from the gateway to podB go from one port of the bridge straight into the pod (bpf_redirect_peer, as in Cilium): the
    tap on podB's port never sees them."""

    name, culprit, kind = "bypass", "hv1/p-podB", "bypassed point"
    FROM, TO = "p-l4gw1", "p-podB"

    def begin(self, truth: str) -> None:
        built = os.path.join(processes.STATE, "bypass.o")
        index = {name: number for number, name in network.interfaces("hv1").items()}[self.TO]
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bypass.bpf.c")
        address = int.from_bytes(bytes(int(part) for part in topology.IN_B[0].split(".")), "little")
        done = subprocess.run(["clang-19", "-O2", "-g", "-target", "bpf", f"-DPORT={index}", f"-DADDRESS={address}u", "-c", source, "-o", built],
                              capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"bypass.bpf.c: {done.stderr[-1500:]}")
        tc = ["tc", "-n", real_name("hv1")]
        network.run(*tc, "qdisc", "add", "dev", self.FROM, "clsact")
        network.run(*tc, "filter", "add", "dev", self.FROM, "ingress", "bpf", "direct-action", "obj", built, "sec", "classifier")

    def end(self) -> None:
        network.run("tc", "-n", real_name("hv1"), "qdisc", "del", "dev", self.FROM, "clsact")

    def skipped(self) -> tuple:
        return ((f"hv1/{self.FROM}", f"hv1/{self.TO}"),)
