"""A postgres connection (psycopg, extended protocol, prepared after five uses) that notes every round trip's times.

It never hides a round trip: preparing a statement is one of its own.
"""

import os
import socket

import psycopg

import processes
from services.spans import Span, now


def read_password() -> str:
    """postgres's password of this run."""
    with open(os.path.join(processes.STATE, "password")) as file:
        return file.read()


class TimedCursor(psycopg.Cursor):
    """A cursor that remembers when it sent what; psycopg sends through these three methods (3.1)."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.sends = []

    def _send_prepare(self, name, query):
        self.sends.append(("PREPARE", now()))
        super()._send_prepare(name, query)

    def _send_query_prepared(self, name, pgq, **more):
        self.sends.append(("EXECUTE", now()))
        super()._send_query_prepared(name, pgq, **more)

    def _execute_send(self, query, **more):
        self.sends.append(("QUERY", now()))
        super()._execute_send(query, **more)


class PostgresConnection:
    """One connection; one statement at a time."""

    def __init__(self, remote: tuple, password: str):
        self.connection = psycopg.connect(
            host=remote[0], port=remote[1], user="postgres", password=password, dbname="postgres",
            autocommit=True, cursor_factory=TimedCursor)
        self.sockets = (self.local_address(), remote)

    def local_address(self) -> tuple:
        """The socket's own end, which libpq does not tell."""
        with socket.socket(fileno=os.dup(self.connection.fileno())) as same:
            return same.getsockname()

    def run(self, span: Span, statement: str, *values) -> list:
        """Runs one statement and notes one call per round trip; its rows."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, values or None, prepare=None if values else False)
            rows = cursor.fetchall() if cursor.description else []
            ended = now()
        operation = statement.split()[0]
        for place, (step, started) in enumerate(cursor.sends):
            last = place + 1 == len(cursor.sends)
            span.add_call("postgres", operation if last else step, self.sockets,
                          (started, started, ended if last else cursor.sends[place + 1][1]),
                          resource=statement, step=step)
        return rows
