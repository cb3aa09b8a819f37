"""A kept-alive HTTP/1.1 client connection that notes its own times.

It never sends a request in more than one write: a held packet is then a held request.
"""

import http.client
import socket

from services.spans import now


class HttpConnection:
    """One connection; one request at a time."""

    def __init__(self, remote: tuple):
        self.socket = socket.create_connection(remote, timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sockets = (self.socket.getsockname(), self.socket.getpeername())
        self.host = f"{remote[0]}:{remote[1]}"

    def exchange(self, method: str, path: str, headers: dict, body: bytes = b"") -> tuple:
        """Sends a request and reads its whole response: (status, body, (before write, after write, after read))."""
        lines = {"Host": self.host, "User-Agent": "testbed", "Accept": "*/*", **headers}
        if body:
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        request = head.encode() + b"\r\n" + body
        started = now()
        self.socket.sendall(request)
        sent = now()
        response = http.client.HTTPResponse(self.socket, method=method)
        response.begin()
        content = response.read()
        ended = now()
        response.close()
        return response.status, content, (started, sent, ended)
