"""Service F, an asyncio consumer of the queue: for each message some commands to redis, several messages at once.

It never answers anybody: what it does begins after its cause has ended.
"""

import asyncio
import random
import sys

import wheels
from mesh import topology
from services.http_service import arguments
from services.redis_client import encode
from services.spans import PARENT_HEADER, REQUEST_HEADER, Span, SpanLog, address, new_id, now
from topology import dotted

sys.path.insert(0, wheels.FOLDER)
import nats  # noqa: E402  (unpacked, not installed)


class Redis:
    """One connection; one command at a time."""

    async def dial(self) -> "Redis":
        """Opens it."""
        self.reader, self.writer = await asyncio.open_connection(*topology.REDIS)
        self.sockets = (self.writer.get_extra_info("sockname"), topology.REDIS)
        return self

    async def run(self, span: Span, *command) -> None:
        """One command whose answer is a number."""
        started = now()
        self.writer.write(encode(command))
        sent = now()
        answer = await self.reader.readline()
        if not answer.startswith(b":"):
            raise RuntimeError(f"redis: {answer!r}")
        span.add_call("redis", command[0], self.sockets, (started, sent, now()), resource=command[1], pipeline=[0, 1])


class Consumer:
    """What the queue's messages cause."""

    def __init__(self, options):
        self.log = SpanLog(options.truth)
        self.chance = random.Random(f"{options.seed} F")
        self.idle = asyncio.LifoQueue()
        self.size = (options.concurrency + 1) // 2

    async def consume(self, message, local: tuple) -> None:
        """One message."""
        span = Span(service="F", request_id=message.headers[REQUEST_HEADER], parent_call_id=message.headers[PARENT_HEADER], span_id=new_id(),
                    local=address(local), peer=address(topology.NATS), t_read_after_ns=now())
        item = message.data.decode()
        connection = await self.idle.get()
        try:
            for name in self.chance.sample(("sold", "seen", "trend"), self.chance.randint(1, 3)):
                await connection.run(span, "INCR", f"{name}:{len(item)}")
        finally:
            self.idle.put_nowait(connection)
        span.facts["t_write_before_ns"] = now()
        self.log.write(span)

    async def run(self) -> None:
        """Until it is ended."""
        for _ in range(self.size):
            self.idle.put_nowait(await Redis().dial())
        client = await nats.connect(f"nats://{dotted(topology.NATS)}", name="F")
        local = client._transport._io_writer.get_extra_info("sockname")
        tasks = set()

        async def hear(message) -> None:
            task = asyncio.create_task(self.consume(message, local))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        await client.subscribe(topology.SUBJECT, cb=hear)
        await client.flush()
        print("ready", flush=True)
        await asyncio.Event().wait()


async def main() -> None:
    """One consumer."""
    await Consumer(arguments()).run()


if __name__ == "__main__":
    asyncio.run(main())
