"""Faults of processes: stopped for a while, short of processor time, gone, held up by a lock, too slow to accept.

They never touch a process that the testbed did not start.
"""

import json
import os
import signal
import threading
import time

import processes
from mesh.faults.fault import Fault, milliseconds, share

# How long everything goes well between two times that something is stopped.
BETWEEN_SECONDS = 1.2
PROGRAMS = {letter: f"service_{letter.lower()}" for letter in "ABCDEFG"}
PERIOD_MICROSECONDS = 100_000


def program(text: str, service: str) -> str:
    """The remembered name of a service's process."""
    if service not in PROGRAMS:
        raise RuntimeError(f"{text}: the services are {', '.join(PROGRAMS)}")
    return PROGRAMS[service]


class Repeated(Fault):
    """Something that happens again and again, by a thread."""

    def begin(self, truth: str) -> None:
        self.log = open(os.path.join(truth, f"{self.name}.jsonl"), "a", buffering=1)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        """Until the end."""
        while not self.over.wait(BETWEEN_SECONDS):
            begun = time.time_ns()
            self.once()
            self.log.write(json.dumps({"fault": self.name, "t_begin_ns": begun, "t_end_ns": time.time_ns()}) + "\n")

    def once(self) -> None:
        """What happens."""
        raise NotImplementedError

    def end(self) -> None:
        self.over.set()
        self.thread.join()
        self.log.close()


class Stall(Repeated):
    """A service stops working for a while (SIGSTOP)."""

    name, words, kind = "stall", ("SERVICE", "TIME"), "stalled process"

    def __init__(self, text: str, service: str, time: str):
        super().__init__(text)
        self.program, self.culprit, self.seconds = program(text, service), service, milliseconds(time) / 1000

    def once(self) -> None:
        pid = processes.pid_of(self.program)
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self.seconds)
        finally:
            os.kill(pid, signal.SIGCONT)


class Backlog(Stall):
    """E accepts nothing for a second at a time, and its queue holds one connection: SYNs are dropped. D opens one per request."""

    name, words, culprit, kind = "accept-backlog", (), "E", "accept queue full"

    def __init__(self, text: str):
        super().__init__(text, "E", "800ms")


class Quota(Fault):
    """A service gets a share of one processor and no more."""

    name, words, kind = "cpu", ("SERVICE", "SHARE"), "short of processor time"

    def __init__(self, text: str, service: str, amount: str):
        super().__init__(text)
        self.program, self.culprit, self.share = program(text, service), service, share(amount)

    def begin(self, truth: str) -> None:
        quota = str(int(self.share * PERIOD_MICROSECONDS))
        older, newer = processes.GROUPS
        if os.path.exists(os.path.join(older, "cgroup.procs")):
            self.parent, settings = older, {"cpu.cfs_period_us": str(PERIOD_MICROSECONDS), "cpu.cfs_quota_us": quota}
        else:
            self.parent, settings = newer, {"cpu.max": f"{quota} {PERIOD_MICROSECONDS}"}
            self.write(newer, "cgroup.subtree_control", "+cpu")
        self.group = os.path.join(self.parent, processes.GROUP)
        os.makedirs(self.group, exist_ok=True)
        for name, value in settings.items():
            self.write(self.group, name, value)
        self.write(self.group, "cgroup.procs", str(processes.pid_of(self.program)))

    @staticmethod
    def write(folder: str, name: str, value: str) -> None:
        """One setting."""
        with open(os.path.join(folder, name), "w") as file:
            file.write(value)

    def end(self) -> None:
        for line in open(os.path.join(self.group, "cgroup.procs")):
            self.write(self.parent, "cgroup.procs", line.strip())
        os.rmdir(self.group)


class Refused(Fault):
    """E is gone: whoever calls it is refused."""

    name, culprit, kind, breaks = "refused", "E", "refused", True

    def begin(self, truth: str) -> None:
        pid = processes.pid_of(PROGRAMS["E"])
        processes.send({pid: signal.SIGTERM})
        if processes.wait_gone([pid], 5):
            raise RuntimeError("service E does not end")


class SlowQuery(Repeated):
    """Somebody locks the table of items for 400 ms at a time: queries wait in postgres."""

    name, culprit, kind = "slow-query", "postgres", "slow query"

    def begin(self, truth: str) -> None:
        self.process = processes.start_python("locker", "stores", "mesh.faults.locker", stdin=processes.PIPE, stdout=processes.PIPE, text=True)
        super().begin(truth)

    def once(self) -> None:
        print(file=self.process.stdin, flush=True)
        self.process.stdout.readline()

    def end(self) -> None:
        super().end()
        self.process.stdin.close()
        self.process.wait(10)
