"""A small HTTP/1.1 server behind an L4 proxy: three ports, without a PROXY header and with either version of it.

It never answers anything but GET, and never looks at what a header says.
"""

import http.server
import socketserver
import threading

PORTS = {9001: 0, 9002: 1, 9003: 2}


class Handler(http.server.BaseHTTPRequestHandler):
    """Five bytes for whatever is asked."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        """Takes the header off before the first request."""
        super().setup()
        version = PORTS[self.server.server_address[1]]
        if version == 1:
            self.rfile.readline()
        elif version == 2:
            head = self.rfile.read(16)
            self.rfile.read(int.from_bytes(head[14:16], "big"))

    def do_GET(self) -> None:
        """The answer."""
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_) -> None:
        """Nothing is logged: the capture tells."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """A thread per connection."""

    daemon_threads = True
    request_queue_size = 64


def main() -> None:
    """All three, until stopped."""
    servers = [Server(("127.0.0.1", port), Handler) for port in PORTS]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()


if __name__ == "__main__":
    main()
