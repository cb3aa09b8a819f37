"""HTTP/1 through an L4 proxy (haproxy in TCP mode): parallel connections that ask the same few things, three kinds of listener.

It never talks to any but the proxy that it started.
"""

import http.client
import random
import threading
import time

import processes
import servers
from protocols import forward_server

LISTENERS = (8001, 8002, 8003)
WORKERS, CONNECTIONS, REQUESTS = 4, 2, 3


def start_servers(netns: str) -> None:
    """The server, then the proxy before it."""
    process = processes.start_python("forward-server", netns, "protocols.forward_server")
    for port in forward_server.PORTS:
        processes.await_listener(process, "forward-server", netns, port)
    proxy = processes.start("haproxy", netns, ["haproxy", "-f", servers.fill("config/forward.cfg")])
    for port in LISTENERS:
        processes.await_listener(proxy, "haproxy", netns, port)


def work(worker: int) -> None:
    """A few connections with a few requests each, one after the other."""
    dice = random.Random(worker)
    for _ in range(CONNECTIONS):
        for port in LISTENERS:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            for _ in range(REQUESTS):
                connection.request("GET", f"/item/{dice.choice('12')}")
                connection.getresponse().read()
                time.sleep(dice.random() * 0.01)
            connection.close()


def main() -> None:
    """All workers at once."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
