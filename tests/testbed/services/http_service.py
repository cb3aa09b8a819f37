"""A small thread-per-connection HTTP service that notes when each request was read and each response written.

It never answers in more than one write, and never puts an id into a response.
"""

import argparse
import json
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, SpanLog, address, new_id, now


def arguments() -> argparse.Namespace:
    """What every service is told."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--truth", required=True, help="where to log spans")
    parser.add_argument("--concurrency", type=int, required=True, help="how many requests at once the load sends")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--profile", choices=("causal", "timers"), default="causal", help="timers: also waits before calls, which leaves no trace")
    return parser.parse_args()


def spin(milliseconds: float) -> None:
    """Keeps this thread's processor busy."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        pass


class Handler(BaseHTTPRequestHandler):
    """Turns a request into a span and asks the service's `answer` what to say."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 20

    def handle_one_request(self):
        self.read_before = now()
        super().handle_one_request()

    def parse_request(self):
        self.read_first = now()
        return super().parse_request()

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        service = self.server.service
        span = Span(
            service=service.name, request_id=self.headers.get(REQUEST_HEADER, ""), span_id=new_id(),
            parent_call_id=self.headers.get(PARENT_HEADER), method=self.command, path=self.path,
            local=address(self.connection.getsockname()), peer=address(self.client_address),
            t_read_before_ns=self.read_before, t_read_first_ns=self.read_first, t_read_after_ns=now())
        try:
            status, answer = service.answer(span, self.command, self.path.strip("/").split("/"), body)
        except Exception as error:  # the request has failed, the service has not: the truth shows it
            status, answer = 500, {"error": type(error).__name__}
            span.facts["error"] = repr(error)
        self.respond(span, status, json.dumps(answer).encode())
        service.log.write(span)

    do_POST = do_GET

    def respond(self, span: Span, status: int, body: bytes) -> None:
        """Writes the response at once; a span ends just before that."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        before = now()
        self.wfile.flush()
        span.facts |= {"status": status, "t_write_before_ns": before, "t_write_after_ns": now()}

    def log_message(self, *_):
        """The span log is the only log."""


class Server(ThreadingHTTPServer):
    """The listening socket of a service."""

    request_queue_size = 128
    daemon_threads = True


class Service:
    """What both services have: a name, a span log and a source of chance."""

    name = ""

    def __init__(self, options: argparse.Namespace):
        self.log = SpanLog(options.truth)
        self.chance = random.Random(f"{options.seed} {self.name}")

    def answer(self, span: Span, method: str, words: list, body: bytes) -> tuple:
        """Status and content for one request."""
        raise NotImplementedError

    def serve(self, endpoint: tuple) -> None:
        """Listens until it is ended."""
        server = Server(endpoint, Handler)
        server.service = self
        server.serve_forever()
