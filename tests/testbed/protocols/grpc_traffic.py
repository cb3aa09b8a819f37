"""Conversations in gRPC: the makers' library on both sides, directly and through Envoy, and gRPC-Web through Envoy by hand.

It never talks to any but the servers that it started.
"""

import base64
import os
import http.client
import sys
import time

import processes
import servers
import wheels
from protocols import grpc_server

sys.path.insert(0, wheels.FOLDER)
import grpc  # noqa: E402  (unpacked, not installed)

PROXY = ("127.0.0.1", 50052)
TRACEPARENT = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")


def start_servers(netns: str) -> None:
    """The server, then Envoy before it."""
    server = processes.start_python("grpc-server", netns, "protocols.grpc_server")
    processes.await_listener(server, "grpc-server", netns, grpc_server.ENDPOINT[1])
    proxy = processes.start("envoy", netns, [
        wheels.envoy(), "-c", servers.fill("config/grpc-envoy.yaml"), "--disable-hot-restart", "--concurrency", "1", "-l", "warn"])
    processes.await_listener(proxy, "envoy", netns, PROXY[1])


def expect(code, call, *arguments, **more) -> None:
    """Calls, and sees it fail so."""
    try:
        call(*arguments, **more)
        raise RuntimeError(f"no {code}")
    except grpc.RpcError as error:
        if error.code() != code:
            raise


def calls(endpoint: tuple, encoding: grpc.Compression) -> None:
    """One of each kind, and some that fail."""
    with grpc.insecure_channel(f"{endpoint[0]}:{endpoint[1]}", compression=encoding) as channel:
        get = channel.unary_unary("/shop.Cart/Get")
        for number in range(4):
            get(b"number %d" % number, timeout=5)
        get(b"x" * 1000, metadata=(TRACEPARENT,))
        for what, code in grpc_server.CODES.items():
            expect(code, get, what)
        expect(grpc.StatusCode.UNIMPLEMENTED, channel.unary_unary("/shop.Cart/Nothing"), b"")
        expect(grpc.StatusCode.DEADLINE_EXCEEDED, get, b"slow", timeout=0.1)
        list(channel.unary_stream("/shop.Cart/Watch")(b"7"))
        channel.stream_unary("/shop.Cart/Fill")(iter([b"a", b"b", b"c"]))
        list(channel.stream_stream("/shop.Cart/Talk")(iter([b"ping", b"", b"pong"])))
        watch = channel.unary_stream("/shop.Cart/Watch")(b"100")
        next(watch)
        watch.cancel()
        futures = [get.future(b"at once %d" % number) for number in range(6)]
        [future.result() for future in futures]
        time.sleep(0.05)


def web(text: bool) -> None:
    """gRPC-Web, as a browser sends it, in bytes or in letters."""
    kind, encode = ("-text", base64.b64encode) if text else ("", bytes)
    connection = http.client.HTTPConnection(*PROXY, timeout=5)
    for what in (b"web", b"missing"):
        body = encode(b"\0" + len(what).to_bytes(4, "big") + what)
        connection.request("POST", "/shop.Cart/Get", body, {"Content-Type": f"application/grpc-web{kind}", "X-Grpc-Web": "1"})
        connection.getresponse().read()
    connection.close()


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    calls(grpc_server.ENDPOINT, grpc.Compression.NoCompression)
    calls(PROXY, grpc.Compression.Gzip)
    web(text=False)
    web(text=True)
