"""A small HTTP/1.1 server for what nginx does not do on request: chunks, trailers, 100, 101, ends by closing, broken answers.

It never serves anything but http1_traffic.py, and never more than one request per connection except where pipelined.
"""

import base64
import hashlib
import socket
import threading

ENDPOINT = ("127.0.0.1", 8081)
WEBSOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def read_head(reader) -> tuple:
    """(method, path, headers) or None at the end of the connection."""
    line = reader.readline().split()
    headers = {}
    while len(line) == 3 and (header := reader.readline().strip()):
        name, _, value = header.partition(b":")
        headers[name.lower().decode()] = value.strip().decode()
    return (line[0].decode(), line[1].decode(), headers) if len(line) == 3 else None


def read_body(reader, headers: dict) -> bytes:
    """By length or by chunks, trailers included."""
    if "chunked" not in headers.get("transfer-encoding", ""):
        return reader.read(int(headers.get("content-length", 0)))
    body = b""
    while size := int(reader.readline().split(b";")[0], 16):
        body += reader.read(size)
        reader.readline()
    while reader.readline().strip():
        pass
    return body


def respond(connection: socket.socket, status: str, body: bytes, *headers: str) -> None:
    """An answer with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def chunked(connection: socket.socket) -> None:
    """Three chunks in packets of their own, with an extension and a trailer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
    for chunk in (b"5\r\nfirst\r\n", b"6;name=value\r\nsecond\r\n", b"A\r\n0123456789\r\n", b"0\r\nX-Sum: 21\r\n\r\n"):
        connection.sendall(chunk)


def upgrade(connection: socket.socket, reader, headers: dict) -> None:
    """101, then WebSocket frames: echoes one text, answers one ping, closes."""
    accept = base64.b64encode(hashlib.sha1(headers["sec-websocket-key"].encode() + WEBSOCKET_KEY).digest()).decode()
    connection.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode())
    while len(start := reader.read(2)) == 2:
        kind, length = start[0] & 15, start[1] & 127
        mask, masked = reader.read(4), reader.read(length)
        text = bytes(byte ^ mask[n % 4] for n, byte in enumerate(masked))
        connection.sendall(bytes([0x80 | {9: 10}.get(kind, kind), length]) + text)
        if kind == 8:
            return


def answer(connection: socket.socket, reader, head: tuple) -> bool:
    """Answers one request; whether the connection stays."""
    method, path, headers = head
    if headers.get("expect") == "100-continue":
        if path == "/refuse":
            respond(connection, "417 Expectation Failed", b"")
            return False
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = read_body(reader, headers)
    if len(body) < int(headers.get("content-length", 0)):
        return False
    match path:
        case "/chunked":
            chunked(connection)
        case "/socket":
            upgrade(connection, reader, headers)
            return False
        case "/until-close":
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall there is")
            return False
        case "/cut-off":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this much")
            return False
        case "/hints":
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
            respond(connection, "200 OK", b"page")
        case "/empty":
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        case "/early":
            respond(connection, "500 Internal Server Error", b"failed", "Connection: close")
            return False
        case _:
            respond(connection, "200 OK", b"" if method == "HEAD" else b"got %d" % len(body))
    return True


def serve(connection: socket.socket) -> None:
    """One connection to its end."""
    with connection, connection.makefile("rb") as reader:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (head := read_head(reader)) and answer(connection, reader, head):
            pass


if __name__ == "__main__":
    with socket.create_server(ENDPOINT) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
