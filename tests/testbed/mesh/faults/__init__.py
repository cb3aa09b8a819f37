"""What can be made to go wrong on purpose, by name, each with its own truth: `delay:l4gw:5ms`, `stall:C:500ms`, `slow-query` …

One more: a class here or beside, and a line in FAULTS. It never leaves anything changed behind: what a fault begins it ends.
"""

from mesh.faults import bent, cut, held, stopped, told

FAULTS = {kind.name: kind for kind in (
    held.Delay, held.Loss, held.SlowNames, stopped.Stall, stopped.Quota, stopped.Refused, stopped.SlowQuery, stopped.Backlog,
    told.SmallPool, told.NoSuchName, told.Nagle, cut.Reset, cut.BlackHole, cut.Bypass, bent.Clock)}


def parse(text: str):
    """A fault from its words."""
    name, *words = text.split(":")
    if name not in FAULTS:
        raise RuntimeError(f"no such fault: {name} (there are: {', '.join(sorted(FAULTS))})")
    fault = FAULTS[name]
    if len(words) != len(fault.words):
        raise RuntimeError(f"{text}: it is given as {usage(fault)}")
    return fault(text, *words)


def usage(fault) -> str:
    """How a fault is written."""
    return ":".join((fault.name, *fault.words))
