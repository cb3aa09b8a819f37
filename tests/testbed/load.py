"""The load: what a seed asks for, written down for load.js, which sends it from the client's namespace.

It never opens a socket itself.
"""

import argparse
import json
import os

import schedule
from topology import Topology


def parts(given: argparse.Namespace) -> list:
    """The warm-up, then the measured requests, with one of them alone if so asked. Each begins when the one before has ended."""
    load = schedule.load_of(given.topology)
    drawn = schedule.Schedule(load, given.seed, given.concurrency)
    made = [{"alone": False, "asks": drawn.warm_up()}]
    if not given.delay:
        return made + [{"alone": False, "asks": drawn.measured(1, given.requests)}]
    alone = given.delay_request
    return made + [
        {"alone": False, "asks": drawn.measured(1, alone - 1)},
        {"alone": True, "asks": [drawn.ask(alone, "measured", 0, load.alone)]},
        {"alone": False, "asks": drawn.measured(alone + 1, given.requests)},
    ]


def write(given: argparse.Namespace, shape: Topology, truth: str, path: str) -> str:
    """Writes what load.js reads; the path."""
    as_objects = [{**part, "asks": [{**ask._asdict(), "body": ask.body.decode()} for ask in part["asks"]]} for part in parts(given)]
    host, port = shape.entry
    with open(path, "w") as file:
        json.dump({"truth": os.path.abspath(truth), "host": host, "port": port, "concurrency": given.concurrency,
                   "parts": as_objects}, file)
    return path
