"""What all faults have in common: a name, words, a beginning and an end, and what is true about them.

It never does anything itself.
"""

import re


def milliseconds(text: str) -> float:
    """`5ms`, `0.5s`."""
    found = re.fullmatch(r"([0-9.]+)(ms|s)", text)
    if not found:
        raise RuntimeError(f"{text} is no time such as 5ms or 0.5s")
    return float(found[1]) * (1000 if found[2] == "s" else 1)


def share(text: str) -> float:
    """`2%`, from 0 to 1."""
    found = re.fullmatch(r"([0-9.]+)%", text)
    if not found or not 0 < float(found[1]) <= 100:
        raise RuntimeError(f"{text} is no share such as 2%")
    return float(found[1]) / 100


class Fault:
    """One thing that goes wrong."""

    name = ""
    words = ()  # what follows the name, each behind a colon
    culprit = ""  # the service, store or stretch whose fault it is
    kind = ""  # what a verdict should call it
    breaks = False  # whether requests may fail, and leave their trees incomplete

    def __init__(self, text: str):
        self.text = text

    def begin(self, truth: str) -> None:
        """Once the servers are up; `truth` is the folder of logs."""

    def end(self) -> None:
        """When the load is over."""

    def skipped(self) -> tuple:
        """Points that packets from their left to their right neighbour pass unseen."""
        return ()

    def facts(self) -> dict:
        """For the truth."""
        return {"fault": self.text, "culprit": self.culprit, "kind": self.kind}
