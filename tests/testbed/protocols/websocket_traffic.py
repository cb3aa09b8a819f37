"""Conversations in WebSocket: the `websockets` library on both sides, directly and through nginx, compressed and not.

It never talks to any but the servers that it started.
"""

import asyncio
import os
import sys

import processes
import servers
import wheels
from protocols import websocket_server

sys.path.insert(0, wheels.FOLDER)
import websockets.asyncio.client  # noqa: E402  (unpacked, not installed)
import websockets.exceptions  # noqa: E402

PROXY = ("127.0.0.1", 80)


def start_servers(netns: str) -> None:
    """The server, then nginx before it."""
    server = processes.start_python("websocket-server", netns, "protocols.websocket_server")
    processes.await_listener(server, "websocket-server", netns, websocket_server.ENDPOINT[1])
    log = os.path.join(processes.STATE, "nginx.log")
    nginx = processes.start("nginx", netns, ["nginx", "-e", log, "-c", servers.fill("config/websocket-nginx.conf", STATE=processes.STATE)])
    processes.await_listener(nginx, "nginx", netns, PROXY[1])


async def talk(endpoint: tuple, path: str, compression: str | None) -> None:
    """Texts and bytes, small and large, whole and in parts, pings both ways, and an end."""
    url = f"ws://{endpoint[0]}:{endpoint[1]}{path}"
    async with websockets.asyncio.client.connect(url, compression=compression, ping_interval=None) as connection:
        for said in ("hello", "", b"\x00\x01\x02", "x" * 3000, b"y" * 70_000 if compression else b"y" * 20_000):
            await connection.send(said)
            await connection.recv()
        await connection.send(part for part in [b"bytes ", b"in ", b"parts"])
        await connection.recv()
        await (await connection.ping())
        for told, answers in (("ticks", 5), ("fragments", 1), ("ping", 0)):
            await connection.send(told)
            for _ in range(answers):
                await connection.recv()
        await connection.send("after all")
        await connection.recv()
        if compression:
            await connection.send("leave")
            try:
                await connection.recv()
            except websockets.exceptions.ConnectionClosedError:
                pass


async def main() -> None:
    """One after the other."""
    for endpoint in (websocket_server.ENDPOINT, PROXY):
        await talk(endpoint, "/feed?room=1", None)
        await talk(endpoint, "/feed?room=2", "deflate")


if __name__ == "__main__":
    asyncio.run(main())
