"""Conversations with MariaDB by MySQL's own Python connector and MariaDB's own command: queries, prepared statements, several results, errors, a file, compression, TLS.

It never talks to any but the server that it started, whose log says what it was asked.
"""

import os
import subprocess
import sys

import processes
import wheels

sys.path.insert(0, wheels.FOLDER)
import mysql.connector  # noqa: E402  (unpacked, not installed)

ENDPOINT = ("127.0.0.1", 3306)
USER, PASSWORD, DATABASE = "shopper", "open-sesame", "shop"
SETUP = f"""CREATE DATABASE {DATABASE};
CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';
GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1';
CREATE TABLE {DATABASE}.items (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(2000), stock INT);
CREATE DEFINER={USER}@'127.0.0.1' PROCEDURE {DATABASE}.two_lists(least INT) SELECT id FROM {DATABASE}.items WHERE stock > least;
"""
FILE = os.path.join(processes.STATE, "items.csv")


def start_servers(netns: str) -> None:
    """mariadbd with a fresh folder, a certificate, and a log of all that it is asked."""
    home = os.path.join(processes.STATE, "mysql")
    os.makedirs(home)
    run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={home}/data", "--skip-test-db",
        "--auth-root-authentication-method=normal")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", f"{home}/key",
        "-out", f"{home}/certificate")
    with open(f"{home}/setup.sql", "w") as file:
        file.write(SETUP)
    process = processes.start("mysql-server", netns, [
        "mariadbd", "--no-defaults", "--user=root", f"--datadir={home}/data", f"--bind-address={ENDPOINT[0]}", f"--port={ENDPOINT[1]}",
        f"--socket={home}/socket", f"--pid-file={home}/pid", f"--init-file={home}/setup.sql", f"--ssl-cert={home}/certificate",
        f"--ssl-key={home}/key", "--local-infile=1", "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--general-log",
        f"--general-log-file={processes.STATE}/mysql-server.log"])
    processes.await_listener(process, "mysql-server", netns, ENDPOINT[1], seconds=30)


def run(*command: str, status: int = 0) -> None:
    """A program, to its end."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != status:
        raise RuntimeError(f"{command[0]}: {done.returncode}: {done.stdout}{done.stderr}"[-1500:])


def connect(**more):
    """In the clear, unless wanted otherwise."""
    wanted = {"host": ENDPOINT[0], "port": ENDPOINT[1], "user": USER, "password": PASSWORD, "database": DATABASE, "ssl_disabled": True,
              "use_pure": True, "charset": "utf8mb4", "collation": "utf8mb4_general_ci", "autocommit": True, "allow_local_infile": True}
    return mysql.connector.connect(**wanted | more)


def attempt(what, *arguments, **more) -> None:
    """Something that fails."""
    try:
        what(*arguments, **more)
    except mysql.connector.Error:
        return
    raise RuntimeError(f"{what} {arguments} did not fail")


def queries(connection) -> None:
    """Texts: rows, none, many, several at once, wrong ones."""
    cursor = connection.cursor(buffered=True)
    for number in range(20):
        cursor.execute("INSERT INTO items (name, stock) VALUES (%s, %s)", (f"item {number}", number))
    cursor.execute("INSERT INTO items (name, stock) SELECT CONCAT(name, REPEAT('x', 900)), stock FROM items")
    cursor.execute("SELECT * FROM items")
    cursor.execute("SELECT id, name FROM items WHERE id < 4")
    cursor.execute("SELECT id FROM items WHERE name = 'nobody''s' # a comment")
    cursor.execute("UPDATE items SET stock = stock + 1 WHERE id < 6")
    attempt(cursor.execute, "SELEC 1")
    attempt(cursor.execute, "SELECT * FROM nothing")
    attempt(cursor.execute, "INSERT INTO items (id) VALUES (1)")
    cursor.execute("SELECT 1; UPDATE items SET stock = 0 WHERE id = 3; SELECT 'three'", map_results=True)
    while cursor.nextset():
        pass
    cursor.callproc("two_lists", (5,))
    cursor.execute(f"LOAD DATA LOCAL INFILE '{FILE}' INTO TABLE items FIELDS TERMINATED BY ',' (name, stock)")
    cursor.close()


def prepared(connection) -> None:
    """Statements prepared once and asked often."""
    cursor = connection.cursor(prepared=True)
    for number in range(5):
        cursor.execute("SELECT name, stock FROM items WHERE id = ? OR stock = 7", (number,))
        cursor.fetchall()
    cursor.execute("UPDATE items SET stock = ? WHERE id = ?", (3, 4))
    attempt(cursor.execute, "INSERT INTO items (id) VALUES (?)", (1,))
    attempt(cursor.execute, "SELECT nothing FROM items WHERE id = ?", (1,))
    cursor.close()


def commands(connection) -> None:
    """What is no query."""
    connection.ping()
    connection.cmd_statistics()
    connection.cmd_init_db(DATABASE)
    connection.cmd_change_user(USER, PASSWORD, DATABASE)
    connection.cmd_reset_connection()


def main() -> None:
    """One after the other."""
    with open(FILE, "w") as file:
        file.write("from a file,1\nand another,2\n")
    connection = connect()
    for part in (queries, prepared, commands):
        part(connection)
    connection.close()
    attempt(connect, password="wrong")
    attempt(connect, database="nowhere")
    for more in ({"compress": True}, {"ssl_disabled": False}):
        connection = connect(**more)
        cursor = connection.cursor(buffered=True)
        cursor.execute("SELECT id FROM items WHERE id < 9")
        connection.close()
    run("mariadb", "--no-defaults", "-h", ENDPOINT[0], "-u", USER, f"-p{PASSWORD}", "--skip-ssl", DATABASE, "-e",
        "SELECT COUNT(*) FROM items; SHOW TABLES; /*!40101 SET @a = 1 */; USE shop")


if __name__ == "__main__":
    main()
