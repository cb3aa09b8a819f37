"""Service G, the stock, by gRPC: a leaf whose answers take a while.

It never asks anybody.
"""

import random
import sys
import time
from concurrent import futures

import wheels
from mesh import topology
from mesh.pauses import Pauses
from services.http_service import arguments
from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, SpanLog, new_id, now
from topology import dotted

sys.path.insert(0, wheels.FOLDER)
import grpc  # noqa: E402  (unpacked, not installed)

METHOD = "/stock.Stock/Get"


class Stock(grpc.GenericRpcHandler):
    """Its one method; messages are bytes, nothing is generated."""

    def __init__(self, options):
        self.log = SpanLog(options.truth)
        self.pauses = Pauses(random.Random(f"{options.seed} G"), options)
        self.handler = grpc.unary_unary_rpc_method_handler(self.get)

    def service(self, details):
        """The handler of a method; none is UNIMPLEMENTED."""
        return self.handler if details.method == METHOD else None

    def get(self, item: bytes, context) -> bytes:
        """How many are left."""
        ids = dict(context.invocation_metadata())
        span = Span(service="G", request_id=ids[REQUEST_HEADER.lower()], parent_call_id=ids[PARENT_HEADER.lower()], span_id=new_id(),
                    method="POST", path=METHOD, local=dotted(topology.SERVICE_G), peer=context.peer().removeprefix("ipv4:"),
                    t_read_after_ns=now())
        time.sleep(self.pauses.slowness())
        span.facts["t_write_before_ns"] = now()
        self.log.write(span)
        return b"left: " + item


def main() -> None:
    """A server with more threads than workers."""
    options = arguments()
    server = grpc.server(futures.ThreadPoolExecutor(2 * options.concurrency + 4), handlers=[Stock(options)])
    server.add_insecure_port(dotted(topology.SERVICE_G))
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
