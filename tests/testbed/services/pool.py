"""A pool of connections: the last one given back is the first one lent again.

It never opens more than it was allowed to; who comes too late waits.
"""

import contextlib
import queue


class Pool:
    """Lends connections; `dial` opens one."""

    def __init__(self, dial, size: int, prefill: bool):
        self.dial = dial
        self.idle = queue.LifoQueue()
        for _ in range(size):
            self.idle.put(dial() if prefill else None)

    @contextlib.contextmanager
    def lend(self):
        """A connection for the length of a `with`; one that failed is replaced by the next borrower."""
        connection = self.idle.get()
        try:
            connection = connection or self.dial()
            yield connection
        except BaseException:
            connection = None
            raise
        finally:
            self.idle.put(connection)
