"""A gRPC server by the makers' library: every way of streaming, every way to fail. Its messages are bytes: nothing is generated.

It never listens beyond loopback.
"""

import sys
import time
from concurrent import futures

import wheels

sys.path.insert(0, wheels.FOLDER)
import grpc  # noqa: E402  (unpacked, not installed)

ENDPOINT = ("127.0.0.1", 50051)
CODES = {b"missing": grpc.StatusCode.NOT_FOUND, b"broken": grpc.StatusCode.INTERNAL, b"denied": grpc.StatusCode.PERMISSION_DENIED}


def one(request: bytes, context) -> bytes:
    """Answers once, or fails as it is asked to."""
    if request in CODES:
        context.abort(CODES[request], request.decode() + ", as asked")
    if request == b"slow":
        time.sleep(0.5)
    return b"well, " + request


def several(request: bytes, context):
    """Answers as often as it is asked to, with a moment between."""
    for number in range(int(request)):
        time.sleep(0.005)
        yield b"answer %d" % number


def collect(requests, context) -> bytes:
    """Answers when all is said."""
    return b"%d messages" % sum(1 for _ in requests)


def echo(requests, context):
    """Answers each."""
    yield from requests


class Shop(grpc.GenericRpcHandler):
    """Which method is which."""

    METHODS = {
        "/shop.Cart/Get": grpc.unary_unary_rpc_method_handler(one), "/shop.Cart/Watch": grpc.unary_stream_rpc_method_handler(several),
        "/shop.Cart/Fill": grpc.stream_unary_rpc_method_handler(collect), "/shop.Cart/Talk": grpc.stream_stream_rpc_method_handler(echo),
    }

    def service(self, details):
        """The handler of a method; none is UNIMPLEMENTED."""
        return self.METHODS.get(details.method)


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[Shop()])
    server.add_insecure_port(f"{ENDPOINT[0]}:{ENDPOINT[1]}")
    server.start()
    server.wait_for_termination()
