"""A conversation with postgres: TLS refused, SCRAM, simple and extended queries, a pipeline, COPY, errors, a cancel.

It never talks to any but the postgres that it started.
"""

import threading
import time

import psycopg

import servers
from services.postgres_client import read_password

ENDPOINT = ("127.0.0.1", 5432)


def start_servers(netns: str) -> None:
    """The postgres, with the shop's tables."""
    servers.start_postgres(netns, ENDPOINT)


def connect(**more) -> psycopg.Connection:
    """libpq asks for TLS first; the server declines."""
    wanted = {"host": ENDPOINT[0], "port": ENDPOINT[1], "user": "postgres", "dbname": "postgres", "password": read_password(),
              "sslmode": "prefer", "autocommit": True}
    return psycopg.connect(**wanted | more)


def refused() -> None:
    """A wrong password, and a database that is not there."""
    for wrong in ({"password": "wrong"}, {"dbname": "nowhere"}):
        try:
            connect(**wrong)
        except psycopg.OperationalError:
            pass


def attempt(connection: psycopg.Connection, statement: str, values=None) -> None:
    """A statement that fails."""
    try:
        connection.execute(statement, values)
    except psycopg.Error:
        pass


def simple(connection: psycopg.Connection) -> None:
    """Queries without parameters: one, several in one message, none, wrong ones, a failed transaction."""
    connection.execute("SELECT id, name FROM items WHERE id < 4")
    connection.execute("SELECT 1; SELECT 'two'; UPDATE items SET stock = stock WHERE id < 3")
    connection.execute("")
    attempt(connection, "SELEC 1")
    attempt(connection, "SELECT * FROM nothing")
    connection.execute("BEGIN")
    attempt(connection, "SELECT 1 / 0")
    attempt(connection, "SELECT 1")
    connection.execute("ROLLBACK")
    connection.execute("DO $$ BEGIN RAISE NOTICE 'a notice'; END $$")


def extended(connection: psycopg.Connection) -> None:
    """Parameters, a statement that gets prepared, NULL, binary results, an error at Bind and one at Execute."""
    for item in range(1, 8):
        connection.execute("SELECT name, stock FROM items WHERE id = %s", (item,))
    connection.execute("SELECT %s::text, %s::int", (None, 5))
    connection.cursor(binary=True).execute("SELECT id, stock FROM items WHERE id = %b", (7,))
    attempt(connection, "SELECT %s::int", ("not a number",))
    attempt(connection, "INSERT INTO items VALUES (%s, 'twice', 0, '')", (1,))
    connection.execute("INSERT INTO orders VALUES (%s, %s)", (3, 4))


def pipelined(connection: psycopg.Connection) -> None:
    """Several statements before any answer; then one of several fails, and the rest are skipped."""
    with connection.pipeline():
        for item in (10, 11, 12):
            connection.execute("SELECT name FROM items WHERE id = %s", (item,))
    try:
        with connection.pipeline():
            connection.execute("SELECT %s::int", (1,))
            connection.execute("SELECT 1 / %s::int", (0,))
            connection.execute("SELECT %s::int", (2,))
    except psycopg.Error:
        pass


def copy(connection: psycopg.Connection) -> None:
    """COPY out, COPY in, and a COPY in that the client gives up."""
    with connection.cursor() as cursor:
        with cursor.copy("COPY (SELECT id, name FROM items WHERE id < 20) TO STDOUT") as rows:
            for _ in rows:
                pass
        with cursor.copy("COPY orders FROM STDIN") as rows:
            for item in range(1, 6):
                rows.write_row((item, 1))
        try:
            with cursor.copy("COPY orders FROM STDIN") as rows:
                rows.write_row((9, 9))
                raise ValueError("given up")
        except (ValueError, psycopg.Error):
            pass


def cancel(connection: psycopg.Connection) -> None:
    """A cancel request comes over a connection of its own."""
    threading.Timer(0.2, connection.cancel).start()
    attempt(connection, "SELECT pg_sleep(5)")


def notify(connection: psycopg.Connection) -> None:
    """A notification arrives between queries."""
    connection.execute("LISTEN news")
    with connect() as other:
        other.execute("NOTIFY news, 'hello'")
    time.sleep(0.1)
    connection.execute("SELECT 1")


if __name__ == "__main__":
    refused()
    with connect() as first:
        for part in (simple, extended, pipelined, copy, notify, cancel):
            part(first)
