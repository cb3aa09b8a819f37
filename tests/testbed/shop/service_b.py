"""Service B, the shop's back: redis and postgres, and service C for prices, in a number and order that routes and cache hits decide.

It never puts an id into a store: keys and values come from 200 items and a few quantities.
"""

import json

from services.http_client import HttpConnection
from services.http_service import Service, arguments, spin
from services.pool import Pool
from services.postgres_client import PostgresConnection, read_password
from services.redis_client import RedisConnection
from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, new_id
from shop import topology

CACHE_MILLISECONDS = 600
SLOWNESS = (0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)  # what a query may take more, in seconds
OFTEN = (5, 3, 3, 4, 4, 4, 3, 2)
EASY_CONCURRENCY = 8
FIND_ITEM = "SELECT name, stock, description FROM items, pg_sleep(%s) WHERE id = %s"
FIND_STOCK = "SELECT stock FROM items, pg_sleep(%s) WHERE id = %s"
ADD_ORDER = "INSERT INTO orders (item, quantity) VALUES (%s, %s)"
FIND_POPULAR = "SELECT id, name, description FROM items, pg_sleep(%s) ORDER BY id LIMIT 40"


class Back(Service):
    """B's routes."""

    name = "B"

    def __init__(self, options):
        super().__init__(options)
        self.stretch = max(1, options.concurrency / EASY_CONCURRENCY)
        password, half = read_password(), (options.concurrency + 1) // 2
        self.redis = Pool(lambda: RedisConnection(topology.REDIS), half, prefill=True)
        self.prices = Pool(lambda: HttpConnection(topology.MESH), options.concurrency, prefill=False)
        self.postgres = Pool(lambda: PostgresConnection(topology.POSTGRES, password), half, prefill=True)

    def answer(self, span: Span, method: str, words: list, body: bytes) -> tuple:
        spin(self.chance.choice((0.05, 0.1, 0.3, 1.0, 4.0)))
        match [method, *words]:
            case ["GET", "item", item]:
                return 200, self.item(span, int(item))
            case ["GET", "stock", item]:
                return 200, self.stock(span, int(item))
            case ["GET", "rate", item]:
                return 200, self.rate(span, item)
            case ["GET", "popular"]:
                return 200, self.popular(span)
            case ["POST", "reserve"]:
                return self.reserve(span, **json.loads(body))
            case ["POST", "order"]:
                return 201, self.order(span, **json.loads(body))
        return 404, {"error": "no such thing"}

    def ask_redis(self, span: Span, *commands: tuple) -> list:
        """One write to redis: a command or a pipeline."""
        with self.redis.lend() as connection:
            return connection.run(span, *commands)

    def ask_postgres(self, span: Span, statement: str, *values) -> list:
        """One statement."""
        with self.postgres.lend() as connection:
            return connection.run(span, statement, *values)

    def ask_prices(self, span: Span, item: int) -> dict:
        """One call to C, through its sidecar."""
        call_id, path = new_id(), f"/price/{item}"
        headers = {REQUEST_HEADER: span.facts["request_id"], PARENT_HEADER: call_id}
        with self.prices.lend() as connection:
            status, content, times = connection.exchange("GET", path, headers)
        span.add_call("http1", "GET", connection.sockets, times, call_id, resource=path, status=status)
        return json.loads(content)

    def slowness(self) -> float:
        """How slow the next query is. More workers get slower queries, not more processor time: the same share is busy."""
        return self.chance.choices(SLOWNESS, OFTEN)[0] * self.stretch

    def item(self, span: Span, item: int) -> dict:
        """From redis, or from postgres and then kept in redis."""
        kept = self.ask_redis(span, ("GET", f"item:{item}"))[0]
        if kept:
            return json.loads(kept)
        name, stock, description = self.ask_postgres(span, FIND_ITEM, self.slowness(), item)[0]
        found = {"name": name, "stock": stock, "description": description}
        self.ask_redis(span, ("SET", f"item:{item}", json.dumps(found), "PX", CACHE_MILLISECONDS))
        return found

    def stock(self, span: Span, item: int) -> dict:
        """A pipeline of two, a query in two of five, and the price."""
        kept, _ = self.ask_redis(span, ("GET", f"stock:{item}"), ("INCR", f"views:{item}"))
        if kept is None or self.chance.random() < 0.4:
            kept = self.ask_postgres(span, FIND_STOCK, self.slowness(), item)[0][0]
            self.ask_redis(span, ("SET", f"stock:{item}", kept))
        return {"stock": int(kept), **self.ask_prices(span, item)}

    def rate(self, span: Span, item: str) -> dict:
        """What an item's price is to be multiplied by."""
        kept = self.ask_redis(span, ("GET", f"rate:{item}"))[0]
        return {"rate": int(kept or 1)}

    def popular(self, span: Span) -> dict:
        """A long list, slowly."""
        rows = self.ask_postgres(span, FIND_POPULAR, self.slowness())
        spin(self.chance.uniform(0, 3))
        return {"items": [{"id": row[0], "name": row[1], "description": row[2]} for row in rows]}

    def reserve(self, span: Span, item: int, quantity: int) -> tuple:
        """The store calls in either order; now and then there is nothing left."""
        steps = [lambda: self.ask_redis(span, ("INCR", f"reserved:{item}")),
                 lambda: self.ask_postgres(span, FIND_STOCK, self.slowness(), item)]
        for step in self.chance.sample(steps, 2):
            step()
        if self.chance.random() < 0.08:
            return 409, {"error": "sold out"}
        return 200, {"item": item, "quantity": quantity}

    def order(self, span: Span, item: int, quantity: int) -> dict:
        """A transaction on one connection, then two commands to redis."""
        with self.postgres.lend() as connection:
            connection.run(span, "BEGIN")
            connection.run(span, ADD_ORDER, item, quantity)
            connection.run(span, "COMMIT")
        self.ask_redis(span, ("INCR", f"orders:{item}"), ("GET", f"item:{item}"))
        return {"item": item, "quantity": quantity}


if __name__ == "__main__":
    Back(arguments()).serve(topology.SERVICE_B)
