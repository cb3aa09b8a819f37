"""What the mesh is asked for. It never makes a value that only one request has."""

import json
import random

from schedule import Load


def request(route: str, item: int, chance: random.Random) -> tuple:
    """Method, path and body of one request."""
    if route == "order":
        return "POST", "/order", json.dumps({"item": item, "quantity": chance.randint(1, 5)}).encode()
    return "GET", f"/{route}/{item}" if route != "health" else "/health", b""


LOAD = Load(
    routes=(("page", 50), ("order", 24), ("search", 20), ("health", 6)),
    request=request, alone="page", most_per_second=40.0, typical_seconds=0.080)
