"""Conversations with nats-server by its makers' Python client: subjects, queues, requests, headers, JetStream; and a verbose client by hand.

It never talks to any but the server that it started, whose trace says what it heard and said.
"""

import asyncio
import os
import socket
import sys
import time

import processes
import wheels

sys.path.insert(0, wheels.FOLDER)
import nats  # noqa: E402  (unpacked, not installed)
import nats.errors  # noqa: E402

ENDPOINT = ("127.0.0.1", 4222)
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PATIENCE = 2


def start_servers(netns: str) -> None:
    """nats-server with JetStream, telling all that it hears and says."""
    process = processes.start("nats-server", netns, [
        "nats-server", "-a", ENDPOINT[0], "-p", str(ENDPOINT[1]), "-DV", "-js", "-sd", os.path.join(processes.STATE, "jetstream")])
    processes.await_listener(process, "nats-server", netns, ENDPOINT[1])


async def connected(name: str) -> nats.NATS:
    """A client."""
    return await nats.connect(f"nats://{ENDPOINT[0]}:{ENDPOINT[1]}", name=name, allow_reconnect=False)


async def subjects() -> None:
    """Plain subjects, a wildcard, a queue of two, a large payload."""
    one, two = await connected("one"), await connected("two")
    heard = asyncio.Queue()
    for client in (one, two):
        await client.subscribe("orders.*", queue="workers", cb=heard.put)
        await client.flush()
    for number in range(8):
        await one.publish("orders.new", b"order %d" % number)
    await one.publish("orders.large", b"0123456789abcdef" * 1200)
    await one.publish("nobody.listens", b"")
    await one.flush()
    for _ in range(9):
        await asyncio.wait_for(heard.get(), PATIENCE)
    await one.close()
    await two.close()


async def requests() -> None:
    """A service, asked one by one and many at once; a subject that nobody serves; identifiers in headers."""
    service, client = await connected("service"), await connected("client")

    async def answer(message) -> None:
        await message.respond(b"well, " + message.data)

    await service.subscribe("greet.*", cb=answer)
    await service.flush()
    for number in range(5):
        await client.request("greet.me", b"me %d" % number, timeout=PATIENCE)
    await asyncio.gather(*(client.request(f"greet.{number}", b"all", timeout=PATIENCE) for number in range(6)))
    await client.request("greet.traced", b"me", timeout=PATIENCE, headers={"traceparent": TRACEPARENT})
    try:
        await client.request("nobody.serves", b"", timeout=PATIENCE)
    except nats.errors.NoRespondersError:
        pass
    await client.close()
    await service.close()


async def jetstream() -> None:
    """Messages stored, fetched, acknowledged and refused; a stream that is not there."""
    client = await connected("jetstream")
    stream = client.jetstream()
    await stream.add_stream(name="SALES", subjects=["sales.*"])
    for number in range(4):
        await stream.publish("sales.book", b"book %d" % number)
    consumer = await stream.pull_subscribe("sales.*", "clerk")
    first, second = await consumer.fetch(2, timeout=PATIENCE)
    await first.ack()
    await second.nak()
    for message in await consumer.fetch(3, timeout=PATIENCE):
        await message.ack()
    try:
        await stream.stream_info("NOSUCH")
    except nats.js.errors.NotFoundError:
        pass
    await client.flush()
    await client.close()


def verbose() -> None:
    """A client that wants every operation confirmed, and then says something that is none."""
    with socket.create_connection(ENDPOINT) as talk:
        talk.settimeout(PATIENCE)
        talk.recv(65536)
        for said in (b'CONNECT {"verbose":true,"pedantic":false,"lang":"hand","version":"1"}\r\n', b"SUB a.b 1\r\n",
                     b"PUB a.b 5\r\nhello\r\n", b"UNSUB 1\r\n", b"PING\r\n", b"DEADBEEF\r\n"):
            talk.sendall(said)
            time.sleep(0.05)
            talk.recv(65536)


if __name__ == "__main__":
    for part in (subjects, requests, jetstream):
        asyncio.run(part())
    verbose()
