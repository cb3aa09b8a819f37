"""A conversation in HTTP/1: bodies of every kind, HEAD, 304, 206, 100, 101, 103, pipelines, split headers, broken ends.

It never talks to any but the nginx and the small server that it started.
"""

import base64
import os
import socket
import time

import processes
import servers
from protocols import http1_server

NGINX = ("127.0.0.1", 80)
HOST = b"Host: shop.test\r\n"


def start_servers(netns: str) -> None:
    """nginx with two files, and the small server."""
    start_file_server(netns)
    process = processes.start_python("http1-server", netns, "protocols.http1_server")
    processes.await_listener(process, "http1-server", netns, http1_server.ENDPOINT[1])


def start_file_server(netns: str) -> None:
    """nginx; its folder can be read by its own user."""
    www = os.path.join(processes.STATE, "www")
    os.makedirs(www)
    for name, content in (("index.txt", "hello\n"), ("long.txt", "a line of text\n" * 400)):
        with open(os.path.join(www, name), "w") as file:
            file.write(content)
    log = os.path.join(processes.STATE, "nginx.log")
    process = processes.start("nginx", netns, ["nginx", "-e", log, "-c", servers.fill("config/files-nginx.conf", STATE=processes.STATE)])
    processes.await_listener(process, "nginx", netns, NGINX[1])


class Talk:
    """A connection that waits a moment for the answers: they are for the capture, not for us."""

    def __init__(self, endpoint: tuple = http1_server.ENDPOINT):
        self.socket = socket.create_connection(endpoint)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0.08)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *parts: bytes) -> bytes:
        """Each part in a packet of its own; what comes until it is quiet."""
        for part in parts:
            self.socket.sendall(part)
            time.sleep(0.01)
        heard = b""
        try:
            while more := self.socket.recv(65536):
                heard += more
        except (TimeoutError, ConnectionResetError):
            pass
        return heard


def get(path: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return method + b" " + path + b" HTTP/1.1\r\n" + HOST + b"".join(header + b"\r\n" for header in headers) + b"\r\n"


def files() -> None:
    """nginx: kept alive, HEAD, 304, 206, gzip by chunks, 404, 405, a pipeline, a bad request."""
    with Talk(NGINX) as talk:
        head = talk.say(get(b"/index.txt")).decode()
        tag = next(line for line in head.split("\r\n") if line.startswith("ETag")).split(": ")[1].encode()
        talk.say(get(b"/index.txt", method=b"HEAD"))
        talk.say(get(b"/index.txt", b"If-None-Match: " + tag))
        talk.say(get(b"/long.txt", b"Range: bytes=10-29"))
        talk.say(get(b"/long.txt", b"Accept-Encoding: gzip"))
        talk.say(get(b"/long.txt"))
        talk.say(get(b"/missing.txt?query=1"))
        talk.say(get(b"/index.txt", method=b"DELETE"))
        last = get(b"/index.txt", b"Connection: close")
        talk.say(get(b"/index.txt", method=b"HEAD") + get(b"/index.txt") + get(b"/missing") + last)
    with Talk(NGINX) as talk:
        talk.say(b"GARBAGE\r\n\r\n")
    with Talk(NGINX) as talk:
        talk.say(b"GET /index.txt HTTP/1.0\r\n\r\n")


def bodies() -> None:
    """The small server: bodies both ways, headers and bodies split over packets, 1xx answers."""
    length = b"Content-Length: 11"
    with Talk() as talk:
        talk.say(get(b"/chunked"))
        talk.say(get(b"/post", length, method=b"POST") + b"hello world")
        talk.say(b"POST /split HTT", b"P/1.1\r\nHo", b"st: shop.test\r\nContent-Length: 11\r\n\r", b"\nhello", b" world")
        talk.say(get(b"/post", b"Transfer-Encoding: chunked", method=b"PUT"), b"5\r\nhello\r\n", b"6\r\n world\r\n0\r\n\r\n")
        talk.say(get(b"/post", length, b"Expect: 100-continue", method=b"POST"), b"hello world")
        talk.say(get(b"/hints"))
        talk.say(get(b"/empty"))
        posted = get(b"/post", length, method=b"POST") + b"hello world"
        talk.say(get(b"/a") + posted + get(b"/chunked") + get(b"/b", method=b"HEAD"))
        talk.say(get(b"http://shop.test/absolute", b"X-Long: " + b"x" * 3000))


def ends() -> None:
    """Answers that end with the connection, are cut off, never come, or come before the request is whole."""
    for path in (b"/until-close", b"/cut-off"):
        with Talk() as talk:
            talk.say(get(path))
    with Talk() as talk:
        talk.say(get(b"/refuse", b"Content-Length: 11", b"Expect: 100-continue", method=b"POST"))
    with Talk() as talk:
        talk.say(get(b"/early", b"Content-Length: 0", method=b"POST"))
    with Talk() as talk:
        talk.socket.sendall(b"POST /never HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\nonly this")
        time.sleep(0.02)


def frame(kind: int, text: bytes) -> bytes:
    """A masked WebSocket frame."""
    mask = b"\x11\x22\x33\x44"
    return bytes([0x80 | kind, 0x80 | len(text)]) + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))


def websocket() -> None:
    """An upgrade, then what HTTP no longer is."""
    key = base64.b64encode(b"0123456789abcdef")
    with Talk() as talk:
        talk.say(get(b"/socket", b"Connection: Upgrade", b"Upgrade: websocket",
                     b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + key))
        talk.say(frame(1, b"hello"))
        talk.say(frame(9, b"ping"))
        talk.say(frame(8, b"\x03\xe8"))


if __name__ == "__main__":
    for part in (files, bodies, ends, websocket):
        part()
