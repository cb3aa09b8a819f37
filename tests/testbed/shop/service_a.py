"""Service A, the shop's front: answers early from a small cache, or asks B once or twice.

It never calls a store itself, and never waits on a timer: every step follows something that it was sent.
"""

import json
import threading
import time

from services.http_client import HttpConnection
from services.http_service import Service, arguments, spin
from services.pool import Pool
from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, new_id
from shop import topology

CACHE_SECONDS = 0.4


class Front(Service):
    """A's routes."""

    name = "A"

    def __init__(self, options):
        super().__init__(options)
        self.pool = Pool(lambda: HttpConnection(topology.BALANCER), options.concurrency, prefill=False)
        self.cache, self.lock = {}, threading.Lock()

    def answer(self, span: Span, method: str, words: list, body: bytes) -> tuple:
        spin(self.chance.uniform(0.1, 1.5))
        match [method, *words]:
            case ["GET", "health"]:
                return 200, {"status": "up"}
            case ["GET", "shop", item]:
                return self.shop(span, item)
            case ["GET", "page", item]:
                return self.page(span, item)
            case ["GET", "popular"]:
                return self.ask(span, "GET", "/popular")
            case ["POST", "order"]:
                return self.order(span, body)
        return 404, {"error": "no such page"}

    def ask(self, span: Span, method: str, path: str, body: bytes = b"") -> tuple:
        """One call to B, over whichever connection is free."""
        call_id = new_id()
        headers = {REQUEST_HEADER: span.facts["request_id"], PARENT_HEADER: call_id}
        with self.pool.lend() as connection:
            status, content, times = connection.exchange(method, path, headers, body)
        span.add_call("http1", method, connection.sockets, times, call_id, resource=path, status=status)
        return status, json.loads(content)

    def shop(self, span: Span, item: str) -> tuple:
        """An item, from the cache when it was asked for a moment ago."""
        with self.lock:
            kept, until = self.cache.get(item, (None, 0))
        if time.monotonic() < until:
            return 200, kept
        status, found = self.ask(span, "GET", f"/item/{item}")
        with self.lock:
            self.cache[item] = (found, time.monotonic() + CACHE_SECONDS)
        return status, found

    def page(self, span: Span, item: str) -> tuple:
        """An item and its stock: two calls, one after the other, in either order."""
        parts, status = {}, 200
        for name in self.chance.sample(("item", "stock"), 2):
            status, parts[name] = self.ask(span, "GET", f"/{name}/{item}")
            spin(self.chance.uniform(0, 0.8))
        return status, parts

    def order(self, span: Span, body: bytes) -> tuple:
        """Reserves, then orders, unless nothing could be reserved."""
        status, reserved = self.ask(span, "POST", "/reserve", body)
        if status != 200:
            return status, reserved
        return self.ask(span, "POST", "/order", body)


if __name__ == "__main__":
    Front(arguments()).serve(topology.SERVICE_A)
