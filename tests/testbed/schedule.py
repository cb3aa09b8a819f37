"""What the load asks for and when: a seeded list of requests with their instants.

It never makes a value that only one request has: items and quantities are drawn from small pools, popular ones often.
"""

import importlib
import random
from typing import NamedTuple

ITEMS = 200
WARM_UP_EACH = 3
MOST_WARM_UP = 100
WARM_UP_RATE = 20.0
# The share of the workers that is busy on average.
BUSY = 0.6


class Ask(NamedTuple):
    """One request to send: `at` is in seconds from the beginning of its part of the schedule."""

    index: int
    phase: str
    at: float
    method: str
    path: str
    body: bytes


class Load(NamedTuple):
    """What a topology is asked for."""

    routes: tuple  # (name, weight)
    request: object  # (route, item, chance) → (method, path, body)
    alone: str  # the route of a request that runs alone: it crosses every place where something can be held
    most_per_second: float  # what keeps two cores under about 40 %, captures included
    typical_seconds: float  # what one request takes on average; leaves get slower as more workers are to be kept busy


def load_of(name: str) -> Load:
    """The load of a topology, by its name."""
    return importlib.import_module(f"{name}.load").LOAD


class Schedule:
    """Draws requests; the same seed gives the same ones."""

    def __init__(self, load: Load, seed: int, concurrency: int):
        self.load = load
        self.chance = random.Random(f"{seed} load")
        self.weights = [1 / rank**1.1 for rank in range(1, ITEMS + 1)]
        self.rate = min(load.most_per_second, BUSY * concurrency / load.typical_seconds)
        self.concurrency = concurrency

    def ask(self, index: int, phase: str, at: float, route: str = "") -> Ask:
        """One request on a route, or on a drawn one."""
        names, weights = zip(*self.load.routes)
        route = route or self.chance.choices(names, weights)[0]
        item = self.chance.choices(range(1, ITEMS + 1), self.weights)[0]
        return Ask(index, phase, at, *self.load.request(route, item, self.chance))

    def warm_up(self) -> list:
        """A few requests for each worker, for each of many workers one."""
        each = min(WARM_UP_EACH * self.concurrency, max(MOST_WARM_UP, self.concurrency))
        return [self.ask(n, "warmup", n / WARM_UP_RATE) for n in range(each)]

    def measured(self, first: int, last: int) -> list:
        """Requests `first` to `last`, at Poisson instants, one in ten of them the start of a burst."""
        asks, at = [], 0.0
        while len(asks) < last - first + 1:
            burst = self.chance.randint(2, max(2, self.concurrency)) if self.chance.random() < 0.1 else 1
            at += self.chance.expovariate(self.rate) * burst
            for _ in range(min(burst, last - first + 1 - len(asks))):
                asks.append(self.ask(first + len(asks), "measured", at))
        return asks
