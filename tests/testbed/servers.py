"""Starts real servers (redis, postgres, nginx, haproxy, Envoy) and the topologies' own services, each in its namespace.

It never uses a system-wide configuration, port or data folder, and never sends a packet itself.
"""

import glob
import os
import pwd
import secrets
import signal
import subprocess
from typing import NamedTuple

import processes
import wheels

LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}


class Settings(NamedTuple):
    """What all servers of a run are told."""

    truth: str  # the folder for their logs
    concurrency: int
    seed: int
    profile: str = "causal"
    faults: frozenset = frozenset()  # names of what is to go wrong by how servers are started
    burn_ms: float = 0  # processor time that service C of the mesh takes more for each request

    def log(self, name: str) -> str:
        """Where a server logs what it did."""
        return os.path.join(self.truth, name + ".jsonl")


def fill(config: str, **values: str) -> str:
    """Writes a configuration (its path from here) with its names replaced, the longest first; the path of the result."""
    with open(os.path.join(processes.HERE, config)) as file:
        text = file.read()
    for key in sorted(values, key=len, reverse=True):
        text = text.replace("$" + key, values[key])
    path = os.path.join(processes.STATE, os.path.basename(config))
    with open(path, "w") as file:
        file.write(text)
    return path


def start_redis(netns: str, endpoint: tuple, *more: str) -> None:
    """A redis without persistence."""
    process = processes.start("redis", netns, [
        "redis-server", "--bind", endpoint[0], "--port", str(endpoint[1]), "--protected-mode", "no",
        "--save", "", "--appendonly", "no", "--dir", processes.STATE, "--daemonize", "no", *more])
    processes.await_listener(process, "redis", netns, endpoint[1])


def postgres_program(name: str) -> str:
    """Debian keeps postgres's programs out of the path."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    if not found:
        raise RuntimeError(f"{name} is missing: run `testbed install`")
    return found[-1]


def as_postgres(*argv: str) -> list:
    """postgres refuses to run as root."""
    return ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", *argv]


def run_as_postgres(*argv: str, given: str = "") -> None:
    """Runs one of postgres's own programs to its end."""
    done = subprocess.run(as_postgres(*argv), input=given, capture_output=True, text=True, env=LOCALE, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{argv[0]}: {done.stderr.strip()[-1500:]}")


def prepare_postgres(schema: str, access: str) -> str:
    """Makes a fresh data folder with a schema in it, without any network; the folder's path. `access` is who may come in how."""
    user = pwd.getpwnam("postgres")
    home = os.path.join(processes.STATE, "postgres")
    os.makedirs(home, mode=0o700)
    os.chown(home, user.pw_uid, user.pw_gid)
    data, password = os.path.join(home, "data"), os.path.join(processes.STATE, "password")
    with open(password, "w") as file:
        file.write(secrets.token_hex(16))
    os.chown(password, user.pw_uid, user.pw_gid)
    run_as_postgres(postgres_program("initdb"), "-D", data, "--auth=scram-sha-256", "--pwfile", password,
                    "--no-sync", "--encoding=UTF8", "--locale=C")
    with open(os.path.join(data, "pg_hba.conf"), "w") as file:
        file.write(access)
    with open(os.path.join(processes.HERE, schema)) as file:
        statements = "".join(line for line in file if not line.startswith("--"))
    run_as_postgres(postgres_program("postgres"), "--single", "-D", data, "-F", "postgres", given=statements)
    return data


def start_postgres(netns: str, endpoint: tuple, schema: str = "config/schema.sql", access: str = "host all all all scram-sha-256\n") -> None:
    """A postgres that listens on TCP only and does not wait for disks."""
    settings = {
        "listen_addresses": endpoint[0], "port": endpoint[1], "unix_socket_directories": "", "fsync": "off",
        "synchronous_commit": "off", "autovacuum": "off", "shared_buffers": "32MB", "jit": "off", "max_connections": "500",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # SIGQUIT ends postgres at once, and still lets it give its shared memory back.
    process = processes.start(
        "postgres", netns, as_postgres(postgres_program("postgres"), "-D", prepare_postgres(schema, access), *options),
        stop=signal.SIGQUIT, env=LOCALE)
    processes.await_listener(process, "postgres", netns, endpoint[1])


def start_nginx(netns: str, config: str, port: int) -> None:
    """An nginx with a filled-in configuration."""
    log = os.path.join(processes.STATE, "nginx.log")
    process = processes.start("nginx", netns, ["nginx", "-e", log, "-c", config], stop=signal.SIGQUIT)
    processes.await_listener(process, "nginx", netns, port)


def start_haproxy(name: str, netns: str, config: str, port: int, log: str | None = None) -> None:
    """A haproxy with a filled-in configuration; what it prints is its log."""
    process = processes.start(name, netns, ["haproxy", "-db", "-f", config], output=log, stop=signal.SIGINT)
    processes.await_listener(process, name, netns, port)


def start_envoy(netns: str, config: str, port: int, log: str) -> None:
    """An Envoy with a filled-in configuration. With hot restart on it would die with whoever started it."""
    process = processes.start(
        "envoy", netns, [wheels.envoy(), "-c", config, "--disable-hot-restart", "--concurrency", "2", "-l", "warn",
                         "--file-flush-interval-msec", "100"], output=log)
    processes.await_listener(process, "envoy", netns, port)


def start_python_service(name: str, netns: str, module: str, endpoint: tuple, settings: Settings) -> None:
    """One of our own services in Python."""
    process = processes.start_python(
        name, netns, module, "--truth", settings.log(name), "--concurrency", str(settings.concurrency),
        "--seed", str(settings.seed), "--profile", settings.profile)
    processes.await_listener(process, name, netns, endpoint[1])
