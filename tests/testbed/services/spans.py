"""What one process knows of one request, logged as one JSON line: the truth that recordings are scored against.

It never shows a fact that the process itself did not see, and never writes before the response has left.
"""

import json
import os
import threading
import time

REQUEST_HEADER = "X-Request-Id"
PARENT_HEADER = "X-Testbed-Span"

now = time.time_ns  # CLOCK_REALTIME


def address(end) -> str:
    """`ip:port` of a socket address; one that is text already stays as it is."""
    return end if isinstance(end, str) else f"{end[0]}:{end[1]}"


def new_id() -> str:
    """An id of a call: 16 hex digits, always."""
    return os.urandom(8).hex()


class SpanLog:
    """A JSON Lines file that threads share."""

    def __init__(self, path: str):
        self.file = open(path, "a", buffering=1)
        self.lock = threading.Lock()

    def write(self, span: "Span") -> None:
        """Adds one span."""
        line = json.dumps(span.facts, separators=(",", ":")) + "\n"
        with self.lock:
            self.file.write(line)


class Span:
    """One request as one process saw it, with the calls it made."""

    def __init__(self, **facts):
        self.facts = {**facts, "pid": os.getpid(), "thread": threading.get_native_id(), "calls": []}

    def add_call(self, protocol: str, operation: str, sockets: tuple, times: tuple, call_id: str = "", **more) -> None:
        """Notes a call: `sockets` are (local, remote), `times` are before and after its write, and after its last read."""
        calls = self.facts["calls"]
        started, sent, ended = times
        calls.append({
            "call_id": call_id or new_id(), "order": len(calls), "protocol": protocol, "operation": operation, **more,
            "local": address(sockets[0]), "remote": address(sockets[1]),
            "t_start_ns": started, "t_sent_ns": sent, "t_end_ns": ended,
        })
