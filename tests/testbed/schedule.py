"""What the load asks for and when: a seeded list of requests with their instants.

It never makes a value that only one request has: items and quantities are drawn from small pools, popular ones often.
"""

import json
import random
from typing import NamedTuple

ITEMS = 200
ROUTES = (("shop", 38), ("page", 24), ("order", 18), ("popular", 12), ("health", 8))
WARM_UP_EACH = 3
WARM_UP_RATE = 20.0
# What keeps two cores under about 40 %, captures included.
MOST_PER_SECOND = 80.0
# What one request takes on average; services/service_b.py makes its queries slower as more workers are to be kept busy.
TYPICAL_SECONDS = 0.060
BUSY = 0.6


class Ask(NamedTuple):
    """One request to send: `at` is in seconds from the beginning of its part of the schedule."""

    index: int
    phase: str
    at: float
    method: str
    path: str
    body: bytes


class Schedule:
    """Draws requests; the same seed gives the same ones."""

    def __init__(self, seed: int, concurrency: int):
        self.chance = random.Random(f"{seed} load")
        self.weights = [1 / rank**1.1 for rank in range(1, ITEMS + 1)]
        self.rate = min(MOST_PER_SECOND, BUSY * concurrency / TYPICAL_SECONDS)
        self.concurrency = concurrency

    def ask(self, index: int, phase: str, at: float, route: str = "") -> Ask:
        """One request on a route, or on a drawn one."""
        route = route or self.chance.choices([name for name, _ in ROUTES], [weight for _, weight in ROUTES])[0]
        item = self.chance.choices(range(1, ITEMS + 1), self.weights)[0]
        if route == "order":
            body = {"item": item, "quantity": self.chance.randint(1, 5)}
            return Ask(index, phase, at, "POST", "/order", json.dumps(body).encode())
        path = f"/{route}/{item}" if route in ("shop", "page") else f"/{route}"
        return Ask(index, phase, at, "GET", path, b"")

    def warm_up(self) -> list:
        """A few requests for each worker."""
        return [self.ask(n, "warmup", n / WARM_UP_RATE) for n in range(WARM_UP_EACH * self.concurrency)]

    def measured(self, first: int, last: int) -> list:
        """Requests `first` to `last`, at Poisson instants, one in ten of them the start of a burst."""
        asks, at = [], 0.0
        while len(asks) < last - first + 1:
            burst = self.chance.randint(2, max(2, self.concurrency)) if self.chance.random() < 0.1 else 1
            at += self.chance.expovariate(self.rate) * burst
            for _ in range(min(burst, last - first + 1 - len(asks))):
                asks.append(self.ask(first + len(asks), "measured", at))
        return asks
