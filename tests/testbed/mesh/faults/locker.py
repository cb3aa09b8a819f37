"""Locks postgres's table of items for a while, for each line that it is given, and says when it has.

It never changes a row.
"""

import sys
import time

import psycopg

from mesh import topology

LOCK_SECONDS = 0.4


def main() -> None:
    """Until its input ends."""
    host, port = topology.POSTGRES
    with psycopg.connect(host=host, port=port, user="postgres", dbname="postgres", autocommit=True) as connection:
        for _ in sys.stdin:
            with connection.transaction():
                connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
                time.sleep(LOCK_SECONDS)
            print("done", flush=True)


if __name__ == "__main__":
    main()
