"""A conversation with redis: inline, RESP2, RESP3, pipelines, errors, a transaction, a blocking pop, pub/sub, large values.

It never talks to any but the redis that it started.
"""

import socket
import threading
import time

import servers
from services.redis_client import encode

ENDPOINT = ("127.0.0.1", 6379)
LARGE = "0123456789abcdef" * 900
PROTOCOL_KINDS = ("string", "integer", "double", "null", "array", "set", "map", "attrib", "verbatim", "true", "false", "bignum")


def start_servers(netns: str) -> None:
    """The redis; its debug command answers with every RESP3 type."""
    servers.start_redis(netns, ENDPOINT, "--enable-debug-command", "local")


class Talk:
    """A connection that waits a moment for the answers: they are for the capture, not for us."""

    def __init__(self):
        self.socket = socket.create_connection(ENDPOINT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0.05)

    def hear(self) -> bytes:
        """Whatever comes until it is quiet."""
        heard = b""
        try:
            while more := self.socket.recv(65536):
                heard += more
        except TimeoutError:
            pass
        return heard

    def say(self, *commands: tuple) -> bytes:
        """All commands in one write."""
        return self.raw(b"".join(encode(command) for command in commands))

    def raw(self, *parts: bytes) -> bytes:
        """Each part in a write, and a packet, of its own."""
        for part in parts:
            self.socket.sendall(part)
            time.sleep(0.01)
        return self.hear()

    def quit(self) -> None:
        """A polite end."""
        self.say(("QUIT",))
        self.socket.close()


def inline() -> None:
    """Commands as plain lines."""
    talk = Talk()
    talk.raw(b"PING\r\n")
    talk.raw(b'SET greeting "hello there"\r\n')
    talk.raw(b"GET greeting\r\nEXISTS greeting nothing\r\n")
    talk.quit()


def resp2() -> None:
    """Every RESP2 type, errors among them; a pipeline; a command in two packets; a large value both ways."""
    talk = Talk()
    for command in (("SET", "name", "ash"), ("GET", "name"), ("GET", "nothing"), ("INCR", "count"), ("MGET", "name", "nothing"),
                    ("RPUSH", "list", "a", "b", "c"), ("LRANGE", "list", 0, -1), ("LRANGE", "nothing", 0, -1),
                    ("INCR", "name"), ("LPUSH", "name", "x"), ("NOSUCH", "command"), ("GET",),
                    ("SET", "empty", ""), ("GET", "empty")):
        talk.say(command)
    talk.say(*[("INCR", f"pipe:{n % 3}") for n in range(8)], ("GET", "name"), ("NOSUCH",), ("PING",))
    talk.raw(b"*3\r\n$3\r\nSET\r\n$5\r\nsplit\r\n$10\r\n01234", b"56789\r\n")
    talk.say(("SET", "large", LARGE))
    talk.say(("GET", "large"))
    talk.say(("MULTI",), ("INCR", "count"), ("GET", "name"), ("EXEC",))
    talk.say(("MULTI",), ("SET",), ("EXEC",))
    talk.say(("EVAL", "return {1, 'two', {3}}", 0))
    talk.quit()


def resp3() -> None:
    """HELLO 3, every RESP3 type, and an invalidation pushed between answers."""
    talk, other = Talk(), Talk()
    talk.say(("HELLO", 3))
    talk.say(("HSET", "hash", "a", 1, "b", 2), ("HGETALL", "hash"))
    talk.say(("SADD", "set", "x", "y"), ("SMEMBERS", "set"), ("ZADD", "sorted", 1.5, "m"), ("ZSCORE", "sorted", "m"),
             ("GET", "nothing"))
    for kind in PROTOCOL_KINDS:
        talk.say(("DEBUG", "PROTOCOL", kind))
    talk.say(("CLIENT", "TRACKING", "ON"), ("GET", "name"))
    other.say(("SET", "name", "birch"))
    talk.say(("PING",))
    talk.quit()
    other.quit()


def publish() -> None:
    """Messages to subscribers of both protocols."""
    old, new, publisher = Talk(), Talk(), Talk()
    new.say(("HELLO", 3))
    for talk in (old, new):
        talk.say(("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*"))
    for text in ("first", "second"):
        publisher.say(("PUBLISH", "news", text))
    for talk in (old, new):
        talk.hear()
        talk.say(("UNSUBSCRIBE", "news"), ("PUNSUBSCRIBE",))
        talk.quit()
    publisher.quit()


def block() -> None:
    """A pop that waits for a push, and one that waits in vain."""
    waiting, pushing = Talk(), Talk()
    threading.Timer(0.15, pushing.say, [("RPUSH", "jobs", "job")]).start()
    waiting.say(("BLPOP", "jobs", 2))
    time.sleep(0.2)
    waiting.hear()
    waiting.say(("BLPOP", "jobs", 0.1))
    time.sleep(0.15)
    waiting.hear()
    waiting.quit()
    pushing.quit()


if __name__ == "__main__":
    for part in (inline, resp2, resp3, publish, block):
        part()
