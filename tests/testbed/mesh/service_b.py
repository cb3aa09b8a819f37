"""Service B, a thread for each connection that it serves: its own redis on a unix socket, C through a caching proxy, and stock by gRPC.

It never waits on a timer unless the profile is `timers`, and answers 503 at once now and then, so that its caller asks again.
"""

import json
import sys

import wheels
from mesh import topology
from mesh.pauses import Pauses
from services.http_client import HttpConnection
from services.http_service import Service, arguments, spin
from services.pool import Pool
from services.redis_client import RedisConnection
from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, new_id, now
from topology import dotted

sys.path.insert(0, wheels.FOLDER)
import grpc  # noqa: E402  (unpacked, not installed)

CACHE_MILLISECONDS = 900
NO_TIME = 0.12
# Things of one kind cost the same: the proxy before C can answer about half of the questions itself.
KINDS = 40
METHOD = "/stock.Stock/Get"


class Shelf(Service):
    """B's routes."""

    name = "B"

    def __init__(self, options):
        super().__init__(options)
        self.pauses = Pauses(self.chance, options)
        half = (options.concurrency + 1) // 2
        self.redis = Pool(lambda: RedisConnection(topology.REDIS_B), half, prefill=True)
        self.prices = Pool(lambda: HttpConnection(topology.CACHE_B), 2 * options.concurrency, prefill=False)
        self.channel = grpc.insecure_channel(dotted(topology.SERVICE_G))
        self.stock_of = self.channel.unary_unary(METHOD)

    def answer(self, span: Span, method: str, words: list, body: bytes) -> tuple:
        spin(self.chance.choice((0.05, 0.1, 0.3, 0.6, 3.0)))
        match [method, *words]:
            case ["GET", "item", item]:
                return self.item(span, item)
            case ["GET", "stock", item]:
                return self.stock(span, item)
            case ["POST", "reserve"]:
                return self.reserve(span, str(json.loads(body)["item"]))
        return 404, {"error": "no such thing"}

    def ask_redis(self, span: Span, *commands: tuple) -> list:
        """One write to redis: a command or a pipeline."""
        with self.redis.lend() as connection:
            return connection.run(span, *commands)

    def ask_prices(self, span: Span, method: str, path: str, body: bytes = b"") -> dict:
        """One call to C, which the proxy may answer from its cache."""
        self.pauses.take()
        call_id = new_id()
        headers = {REQUEST_HEADER: span.facts["request_id"], PARENT_HEADER: call_id}
        with self.prices.lend() as connection:
            status, content, times = connection.exchange(method, path, headers, body)
        span.add_call("http1", method, connection.sockets, times, call_id, resource=path, status=status)
        return json.loads(content)

    def ask_stock(self, span: Span, item: str) -> bytes:
        """One call by gRPC. Its socket is gRPC's own; the server knows it."""
        self.pauses.take()
        call_id = new_id()
        ids = ((REQUEST_HEADER.lower(), span.facts["request_id"]), (PARENT_HEADER.lower(), call_id))
        started = now()
        answer = self.stock_of(item.encode(), metadata=ids)
        span.add_call("grpc", "POST", ("", dotted(topology.SERVICE_G)), (started, started, now()), call_id, resource=METHOD)
        return answer

    def item(self, span: Span, item: str) -> tuple:
        """From redis, or from C and then kept in redis."""
        kept = self.ask_redis(span, ("GET", f"item:{item}"))[0]
        if kept and self.chance.random() < 0.5:
            return 200, json.loads(kept)
        found = self.ask_prices(span, "GET", f"/price/{1 + int(item) % KINDS}")
        self.ask_redis(span, ("SET", f"item:{item}", json.dumps(found), "PX", CACHE_MILLISECONDS))
        return 200, found

    def stock(self, span: Span, item: str) -> tuple:
        """Some of: what is left, how often it was looked at, what it costs."""
        steps = [lambda: self.ask_stock(span, item),
                 lambda: self.ask_redis(span, ("GET", f"stock:{item}"), ("INCR", f"views:{item}")),
                 lambda: self.ask_prices(span, "GET", f"/price/{1 + int(item) % KINDS}")]
        for step in self.chance.sample(steps, self.chance.randint(1, 3)):
            step()
            spin(self.chance.uniform(0, 0.5))
        return 200, {"stock": int(item)}

    def reserve(self, span: Span, item: str) -> tuple:
        """No time, or a reservation at C and a note of it."""
        if self.chance.random() < NO_TIME:
            return 503, {"error": "no time"}
        steps = [lambda: self.ask_prices(span, "POST", "/reserve", json.dumps({"item": int(item)}).encode()),
                 lambda: self.ask_redis(span, ("INCR", f"reserved:{item}"))]
        for step in self.chance.sample(steps, 2):
            step()
        return 200, {"item": item}


if __name__ == "__main__":
    Shelf(arguments()).serve(topology.SERVICE_B)
