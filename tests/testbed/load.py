"""Drives the load from the client's namespace: C workers with one kept-alive connection each, on an open-loop schedule.

It never sends a request before its instant, never more than asked for, and never repeats one that failed.
"""

import argparse
import os
import queue
import threading
import time

import topology
from schedule import Schedule
from services.http_client import HttpConnection
from services.spans import REQUEST_HEADER, Span, SpanLog, new_id, now


def options() -> argparse.Namespace:
    """What to send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--truth", required=True, help="where to log requests")
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--alone", type=int, default=0, help="this measured request runs alone, after a handshake")
    return parser.parse_args()


class Worker:
    """One connection, kept from one part of the schedule to the next."""

    def __init__(self, log: SpanLog):
        self.log = log
        self.connection = None

    def send(self, ask, scheduled_ns: int, request_id: str) -> None:
        """Sends one request and logs what came of it."""
        span = Span(service="client", request_id=request_id, index=ask.index, phase=ask.phase,
                    scheduled_ns=scheduled_ns, method=ask.method, path=ask.path)
        try:
            self.connection = self.connection or HttpConnection(topology.GATEWAY)
            status, _, times = self.connection.exchange(ask.method, ask.path, {REQUEST_HEADER: request_id}, ask.body)
            span.facts["status"] = status
            span.add_call("http1", ask.method, self.connection.sockets, times, resource=ask.path, status=status)
        except OSError as error:
            span.facts |= {"status": 0, "error": repr(error)}
            self.connection = None
        self.log.write(span)

    def drain(self, asks: queue.SimpleQueue, begin_ns: int) -> None:
        """Takes request after request, each at its instant."""
        while (ask := asks.get()) is not None:
            scheduled_ns = begin_ns + int(ask.at * 1e9)
            time.sleep(max(0, scheduled_ns - now()) / 1e9)
            self.send(ask, scheduled_ns, os.urandom(16).hex())


def run(workers: list, asks: list) -> None:
    """One part of the schedule, to its end."""
    waiting = queue.SimpleQueue()
    for ask in asks + [None] * len(workers):
        waiting.put(ask)
    begin_ns = now() + 20_000_000
    threads = [threading.Thread(target=worker.drain, args=(waiting, begin_ns)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def handshake(*words: str) -> None:
    """Tells the recorder something and waits for its line."""
    print(*words, flush=True)
    input()


def main() -> None:
    """Warm-up, then the measured requests, with one of them alone if so asked."""
    given = options()
    log = SpanLog(given.truth)
    workers = [Worker(log) for _ in range(given.concurrency)]
    schedule = Schedule(given.seed, given.concurrency)
    run(workers, schedule.warm_up())
    if not given.alone:
        run(workers, schedule.measured(1, given.requests))
        return
    run(workers, schedule.measured(1, given.alone - 1))
    request_id = os.urandom(16).hex()
    handshake("alone", request_id)
    # A page: it always asks B.
    workers[0].send(schedule.ask(given.alone, "measured", 0, "page"), now(), request_id)
    handshake("answered")
    run(workers, schedule.measured(given.alone + 1, given.requests))


if __name__ == "__main__":
    main()
