"""Faults of packets: held back in the L4 gateway or at the name server, dropped before podB. The relay logs each packet.

They never change a packet.
"""

import os
import signal

import processes
from mesh import topology
from mesh.faults.fault import Fault, milliseconds, share


class Relayed(Fault):
    """A relay in a namespace."""

    def start(self, netns: str, truth: str, rule: str, *more: str) -> None:
        """Its rule is in place when this returns."""
        self.process = processes.start_python(
            f"relay-{self.name}", netns, "relay", "--rule", rule, "--log", os.path.join(truth, f"{self.name}.jsonl"), *more, stop=signal.SIGINT)
        processes.await_word(self.process, f"relay-{self.name}", "ready")

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)


class Delay(Relayed):
    """Every packet from A's side to the other one takes longer through the gateway."""

    name, words, culprit, kind = "delay", ("l4gw", "TIME"), "l4gw", "slow hop"

    def __init__(self, text: str, where: str, time: str):
        super().__init__(text)
        if where != topology.TOPOLOGY.gateway.netns:
            raise RuntimeError(f"{text}: packets can be held in {topology.TOPOLOGY.gateway.netns}")
        self.milliseconds = milliseconds(time)

    def begin(self, truth: str) -> None:
        self.start("l4gw", truth, "FORWARD -i eth0 -o eth1 -p tcp", "--milliseconds", str(self.milliseconds))


class Loss(Relayed):
    """Some packets never reach podB's sockets, though its interface saw them; or never leave the L4 gateway."""

    name, words, kind = "loss", ("podB or l4gw", "SHARE"), "loss"
    CHAINS = {"podB": "INPUT -i eth0", "l4gw": "FORWARD -i eth0 -o eth1"}

    def __init__(self, text: str, where: str, amount: str):
        super().__init__(text)
        if where not in self.CHAINS:
            raise RuntimeError(f"{text}: packets can be lost before podB's sockets and in l4gw")
        self.culprit, self.share = where, share(amount)

    def begin(self, truth: str) -> None:
        rule = f"{self.CHAINS[self.culprit]} -p tcp -m statistic --mode random --probability {self.share}"
        self.start(self.culprit, truth, rule, "--drop", "--place", self.culprit)


class SlowNames(Relayed):
    """The name server's answers take 300 ms longer."""

    name, culprit, kind = "dns-slow", "dns", "slow names"

    def begin(self, truth: str) -> None:
        self.start("dns", truth, "OUTPUT -o eth0 -p udp --sport 53", "--milliseconds", "300")
