"""How busy the processors were: the whole machine, and the testbed's own share of it.

It never counts what the kernel does for packets in interrupts as ours; that shows in the machine's figure only.
"""

import os

import network


def process_ticks(pid: int) -> int:
    """The processor time of one process and the children it has waited for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(field) for field in fields[11:15])


def sample() -> dict:
    """Ticks so far: all, idle, ours."""
    with open("/proc/stat") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    ours = sum(process_ticks(pid) for pid in network.processes_inside()) + process_ticks(os.getpid())
    return {"all": sum(ticks), "idle": ticks[3] + ticks[4], "ours": ours}


def between(before: dict, after: dict) -> dict:
    """Shares between two samples, of all processors, from 0 to 1 (the load has ended by then; it counts through us)."""
    spent = {name: after[name] - before[name] for name in before}
    total = max(1, spent["all"])
    return {"machine": round(1 - spent["idle"] / total, 3), "testbed": round(spent["ours"] / total, 3)}
