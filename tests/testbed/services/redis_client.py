"""A redis client over one kept-alive connection (RESP2), with pipelines, that notes every command's times.

It never sends anything but the commands it is given.
"""

import os
import socket

from services.spans import Span, now


def encode(command: tuple) -> bytes:
    """One command as an array of bulk strings."""
    words = [str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class RedisConnection:
    """One connection; one command or pipeline at a time."""

    def __init__(self, remote: tuple):
        path, port = remote
        if port:
            self.socket = socket.create_connection(remote, timeout=60)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets = (self.socket.getsockname(), self.socket.getpeername())
        else:
            # A unix socket has no address of its own; its number is what a recorder sees.
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(path)
            self.sockets = (f"unix:{os.fstat(self.socket.fileno()).st_ino}", path)
        self.reader = self.socket.makefile("rb")

    def read_reply(self):
        """One reply: text, number, bytes, None or a list."""
        line = self.reader.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.reader.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read_reply() for _ in range(int(rest))]
        raise RuntimeError(f"redis: {line!r}")

    def run(self, span: Span, *commands: tuple) -> list:
        """Sends the commands in one write, reads their replies, and notes one call per command."""
        payload = b"".join(encode(command) for command in commands)
        started = now()
        self.socket.sendall(payload)
        sent = now()
        replies = []
        for place, command in enumerate(commands):
            replies.append(self.read_reply())
            span.add_call("redis", command[0], self.sockets, (started, sent, now()),
                          resource=str(command[1]), pipeline=[place, len(commands)])
        return replies
