"""What the shop is asked for. It never makes a value that only one request has."""

import json
import random

from schedule import Load


def request(route: str, item: int, chance: random.Random) -> tuple:
    """Method, path and body of one request."""
    if route == "order":
        return "POST", "/order", json.dumps({"item": item, "quantity": chance.randint(1, 5)}).encode()
    return "GET", f"/{route}/{item}" if route in ("shop", "page") else f"/{route}", b""


LOAD = Load(
    routes=(("shop", 38), ("page", 24), ("order", 18), ("popular", 12), ("health", 8)),
    request=request, alone="page", most_per_second=80.0, typical_seconds=0.060)
