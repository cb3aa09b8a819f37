"""Servers that hand requests to other threads, one way each; every request asks the back as often as it is told, one after the other.

    handed_over.py back                        prints its address, answers after a while of its own
    handed_over.py executor|eventfd|helpers BACK   the same, as a server in front
    handed_over.py client FRONT AT_ONCE REQUESTS
"""

import asyncio
import concurrent.futures
import http.client
import http.server
import os
import queue
import random
import selectors
import socket
import sys
import threading
import time

WORKERS = 6
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def path_of(request: bytes) -> str:
    return request.split(b" ", 2)[1].decode()


LOCAL = threading.local()


def ask(back: str, path: str) -> None:
    """One request on the connection of this thread."""
    if not hasattr(LOCAL, "connection"):
        LOCAL.connection = http.client.HTTPConnection(back, timeout=20)
    LOCAL.connection.request("GET", path)
    LOCAL.connection.getresponse().read()


def calls(path: str) -> list[str]:
    """What a request asks for: `/front/2/17` is two calls."""
    _, _, count, number = path.split("/")
    return [f"/back/{step}/{number}" for step in range(int(count))]


def work(back: str, path: str) -> None:
    for call in calls(path):
        ask(back, call)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        self.server.serve(self.path)
        self.wfile.write(ANSWER)

    def log_message(self, *_):
        pass


def back() -> None:
    server = Server(("127.0.0.1", 0), Handler)
    server.serve = lambda _path: time.sleep(random.uniform(0.001, 0.006))
    print(f"127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def helpers(address: str) -> None:
    """A thread per request, whose calls are made by helpers that all share, while it waits."""
    pool = concurrent.futures.ThreadPoolExecutor(4 * WORKERS)
    server = Server(("127.0.0.1", 0), Handler)
    server.serve = lambda path: list(pool.map(lambda call: ask(address, call), calls(path)))
    print(f"127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


def executor(address: str) -> None:
    """asyncio whose handlers run on its executor."""

    async def serve(reader, writer):
        while request := await reader.read(4096):
            await asyncio.get_running_loop().run_in_executor(None, work, address, path_of(request))
            writer.write(ANSWER)

    async def main():
        pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
        asyncio.get_running_loop().set_default_executor(pool)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()

    asyncio.run(main())


def eventfd(address: str) -> None:
    """A loop of its own, and workers that leave what is done in a queue and write an eventfd."""
    todo, done, bell = queue.SimpleQueue(), queue.SimpleQueue(), os.eventfd(0, os.EFD_NONBLOCK)

    def worker():
        while True:
            connection, path = todo.get()
            work(address, path)
            done.put(connection)
            os.eventfd_write(bell, 1)

    for _ in range(WORKERS):
        threading.Thread(target=worker, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(bell, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
            elif key.fileobj == bell:
                os.eventfd_read(bell)
                while not done.empty():
                    done.get().sendall(ANSWER)
            elif request := key.fileobj.recv(4096):
                todo.put((key.fileobj, path_of(request)))
            else:
                selector.unregister(key.fileobj)
                key.fileobj.close()


def client(address: str, at_once: str, requests: str) -> None:
    numbers = iter(range(int(requests)))
    lock = threading.Lock()

    def run():
        connection = http.client.HTTPConnection(address, timeout=20)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            connection.request("GET", f"/front/{1 + number % 3}/{number}")
            connection.getresponse().read()
            time.sleep(random.uniform(0.0, 0.01))

    threads = [threading.Thread(target=run) for _ in range(int(at_once))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
