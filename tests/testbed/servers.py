"""Starts the real servers (redis, postgres, nginx, haproxy, Envoy) and the three services, each in its namespace.

It never uses a system-wide configuration, port or data folder, and never sends a packet itself.
"""

import glob
import os
import pwd
import secrets
import signal
import subprocess

import processes
import topology
import wheels
from topology import dotted

CONFIG = os.path.join(processes.HERE, "config")
LOCALE = {**os.environ, "LC_ALL": "C.UTF-8"}


def fill(name: str, **values: str) -> str:
    """Writes a configuration with its names replaced; the path of the result."""
    with open(os.path.join(CONFIG, name)) as file:
        text = file.read()
    for key, value in values.items():
        text = text.replace("$" + key, value)
    path = os.path.join(processes.STATE, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def start_redis(netns: str = "stores", endpoint: tuple = topology.REDIS, *more: str) -> None:
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


def prepare_postgres() -> str:
    """Makes a fresh data folder with the schema in it, without any network; the folder's path."""
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
        file.write("host all all all scram-sha-256\n")
    with open(os.path.join(CONFIG, "schema.sql")) as file:
        statements = "".join(line for line in file if not line.startswith("--"))
    run_as_postgres(postgres_program("postgres"), "--single", "-D", data, "-F", "postgres", given=statements)
    return data


def start_postgres(netns: str = "stores", endpoint: tuple = topology.POSTGRES) -> None:
    """A postgres that listens on TCP only and does not wait for disks."""
    settings = {
        "listen_addresses": endpoint[0], "port": endpoint[1], "unix_socket_directories": "", "fsync": "off",
        "synchronous_commit": "off", "autovacuum": "off", "shared_buffers": "32MB", "jit": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # SIGQUIT ends postgres at once, and still lets it give its shared memory back.
    process = processes.start(
        "postgres", netns, as_postgres(postgres_program("postgres"), "-D", prepare_postgres(), *options),
        stop=signal.SIGQUIT, env=LOCALE)
    processes.await_listener(process, "postgres", netns, endpoint[1])


def start_gateway(truth: str) -> None:
    """nginx, the L7 gateway."""
    path = fill("nginx.conf", STATE=processes.STATE, TRUTH=truth,
                GATEWAY=dotted(topology.GATEWAY), SIDECAR=dotted(topology.SIDECAR))
    log = os.path.join(processes.STATE, "nginx.log")
    process = processes.start("nginx", "gw7", ["nginx", "-e", log, "-c", path], stop=signal.SIGQUIT)
    processes.await_listener(process, "nginx", "gw7", topology.GATEWAY[1])


def start_sidecar(truth: str) -> None:
    """haproxy, podA's sidecar."""
    path = fill("haproxy.cfg", SIDECAR=dotted(topology.SIDECAR), SERVICE_A=dotted(topology.SERVICE_A))
    process = processes.start("haproxy", "podA", ["haproxy", "-db", "-f", path],
                              output=os.path.join(truth, "haproxy.jsonl"), stop=signal.SIGINT)
    processes.await_listener(process, "haproxy", "podA", topology.SIDECAR[1])


def start_service(name: str, netns: str, endpoint: tuple, truth: str, concurrency: int, seed: int) -> None:
    """One of our own services."""
    process = processes.start_python(
        name, netns, f"services.{name}", "--truth", os.path.join(truth, f"{name}.jsonl"),
        "--concurrency", str(concurrency), "--seed", str(seed))
    processes.await_listener(process, name, netns, endpoint[1])


def start_mesh(truth: str) -> None:
    """Envoy, podC's sidecar. With hot restart on it would die with whoever started it."""
    path = fill("envoy.yaml", MESH_ADDRESS=topology.MESH[0], MESH_PORT=str(topology.MESH[1]),
                SERVICE_ADDRESS=topology.SERVICE_C[0], SERVICE_PORT=str(topology.SERVICE_C[1]))
    process = processes.start(
        "envoy", "podC", [wheels.envoy(), "-c", path, "--disable-hot-restart", "--concurrency", "2", "-l", "warn",
                          "--file-flush-interval-msec", "100"], output=os.path.join(truth, "envoy.jsonl"))
    processes.await_listener(process, "envoy", "podC", topology.MESH[1])


def start_go_service(truth: str, concurrency: int, seed: int) -> None:
    """Service C, in Go."""
    process = processes.start("service_c", "podC", [
        wheels.build_go(), "-truth", os.path.join(truth, "service_c.jsonl"), "-listen", dotted(topology.SERVICE_C),
        "-redis", dotted(topology.REDIS), "-rates", dotted(topology.SERVICE_B), "-concurrency", str(concurrency), "-seed", str(seed)])
    processes.await_listener(process, "service_c", "podC", topology.SERVICE_C[1])


def start_all(truth: str, concurrency: int, seed: int) -> None:
    """Everything, the leaves first; `truth` is the folder for their logs."""
    start_redis()
    start_postgres()
    start_go_service(truth, concurrency, seed)
    start_mesh(truth)
    start_service("service_b", "podB", topology.SERVICE_B, truth, concurrency, seed)
    start_service("service_a", "podA", topology.SERVICE_A, truth, concurrency, seed)
    start_sidecar(truth)
    start_gateway(truth)
