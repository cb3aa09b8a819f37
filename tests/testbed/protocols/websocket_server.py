"""A WebSocket server by the `websockets` library: echoes, speaks unasked, pings, ends connections in every way.

It never listens beyond loopback.
"""

import asyncio
import sys

import wheels

sys.path.insert(0, wheels.FOLDER)
import websockets.asyncio.server  # noqa: E402  (unpacked, not installed)

ENDPOINT = ("127.0.0.1", 8765)


async def serve(connection) -> None:
    """Does what it is told to."""
    async for said in connection:
        if said == "ticks":
            for number in range(5):
                await connection.send(f"tick {number}")
                await asyncio.sleep(0.005)
        elif said == "ping":
            await (await connection.ping(b"are you there"))
        elif said == "fragments":
            await connection.send(part for part in ["in ", "three ", "parts"])
        elif said == "leave":
            await connection.close(1011, "as asked")
        else:
            await connection.send(said)


async def main() -> None:
    """One server that compresses where asked to, for ever."""
    async with websockets.asyncio.server.serve(serve, *ENDPOINT, ping_interval=None):
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
