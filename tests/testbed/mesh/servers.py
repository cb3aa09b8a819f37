"""Starts the mesh's servers and its seven services, each in its namespace.

It never uses a system-wide configuration, port or data folder, and never sends a packet itself.
"""

import json
import os
import subprocess

import processes
import servers
import wheels
from mesh import pauses, topology
from servers import Settings, fill
from topology import dotted

FOLDER = os.path.join(processes.HERE, "mesh")
JAVA = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m", "-Xshare:auto", "-Dsun.net.httpserver.idleInterval=3600",
        "-Dsun.net.httpserver.maxIdleConnections=1024")


def timer_seconds(settings: Settings) -> float:
    """The mean wait of an intermediate before half of its calls."""
    return pauses.TIMER_SECONDS * pauses.stretch(settings.concurrency) if settings.profile == "timers" else 0


def paced(settings: Settings) -> list:
    """How fast and how often things happen, for programs that are not in Python."""
    return ["--concurrency", str(settings.concurrency), "--seed", str(settings.seed),
            "--stretch", str(pauses.stretch(settings.concurrency)), "--timer", f"{timer_seconds(settings):.6f}"]


def make_certificate() -> None:
    """One certificate for both sidecars: its own authority."""
    crt, key, both = (os.path.join(processes.STATE, f"mesh.{ending}") for ending in ("crt", "key", "pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=mesh.test", "-keyout", key, "-out", crt], check=True, capture_output=True)
    with open(both, "w") as file:
        for path in (crt, key):
            with open(path) as part:
                file.write(part.read())


def start_names(settings: Settings) -> None:
    """dnsmasq: it knows D's name and no other."""
    address, port = topology.DNS
    process = processes.start("dnsmasq", "dns", [
        "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root", "--pid-file",
        f"--listen-address={address}", "--bind-interfaces", f"--port={port}", f"--address=/{topology.NAME_OF_D}/{'' if 'dns-nxdomain' in settings.faults else topology.TO_D[0]}"])
    processes.await_listener(process, "dnsmasq", "dns", port)


def start_queue(settings: Settings) -> None:
    """nats-server, and the consumer behind it."""
    address, port = topology.NATS
    process = processes.start("nats-server", "nats", ["nats-server", "-a", address, "-p", str(port)])
    processes.await_listener(process, "nats-server", "nats", port)
    consumer = processes.start_python(
        "service_f", "podF", "mesh.service_f", "--truth", settings.log("service_f"), "--concurrency", str(settings.concurrency),
        "--seed", str(settings.seed))
    processes.await_word(consumer, "service_f", "ready")


def start_own_redis() -> None:
    """B's own redis: a unix socket, no port."""
    process = processes.start("redis-b", "podB", [
        "redis-server", "--port", "0", "--unixsocket", topology.REDIS_B[0], "--save", "", "--appendonly", "no", "--dir", processes.STATE,
        "--daemonize", "no"])
    processes.await_path(process, "redis-b", topology.REDIS_B[0])


def start_rates(settings: Settings) -> None:
    """Service E, in Java."""
    process = processes.start("service_e", "podE", [
        "java", *JAVA, f"-Dsun.net.httpserver.nodelay={'false' if 'nagle' in settings.faults else 'true'}", "-cp", wheels.build_java(os.path.join(FOLDER, "ServiceE.java")), "ServiceE", "--truth", settings.log("service_e"),
        "--listen", dotted(topology.SERVICE_E), "--redis", dotted(topology.REDIS), "--postgres", dotted(topology.POSTGRES),
        "--backlog", "1" if "accept-backlog" in settings.faults else "512",
        "--connections", str(1 if "pool-exhausted" in settings.faults else (3 * settings.concurrency + 7) // 8), *paced(settings)])
    processes.await_listener(process, "service_e", "podE", topology.SERVICE_E[1])


def start_quotes(settings: Settings) -> None:
    """Service D, in Go, and the sidecar before it."""
    process = processes.start("service_d", "podD", [
        wheels.build_go(os.path.join(FOLDER, "service_d.go")), "-truth", settings.log("service_d"), "-listen", dotted(topology.SERVICE_D),
        "-rates", dotted(topology.SERVICE_E), "-concurrency", str(settings.concurrency), "-seed", str(settings.seed),
        "-timer", f"{timer_seconds(settings):.6f}s", f"-keep={'false' if 'accept-backlog' in settings.faults else 'true'}"])
    processes.await_listener(process, "service_d", "podD", topology.SERVICE_D[1])
    config = fill("mesh/config/haproxy-d.cfg", IN_D=dotted(topology.IN_D), SERVICE_D=dotted(topology.SERVICE_D))
    servers.start_haproxy("haproxy-d", "podD", config, topology.IN_D[1])


def start_prices(settings: Settings) -> None:
    """Service C, in Rust."""
    process = processes.start("service_c", "podC", [
        wheels.built("service-c"), "--truth", settings.log("service_c"), "--listen", dotted(topology.SERVICE_C),
        "--postgres", dotted(topology.POSTGRES), "--burn", f"{settings.burn_ms / 1000:.6f}", *paced(settings)])
    processes.await_listener(process, "service_c", "podC", topology.SERVICE_C[1])


def start_shelf(settings: Settings) -> None:
    """Service B, in Python, its stock and its redis, and the sidecar around it."""
    start_own_redis()
    servers.start_python_service("service_g", "podG", "mesh.service_g", topology.SERVICE_G, settings)
    config = fill("mesh/config/haproxy-b.cfg", STATE=processes.STATE, IN_B=dotted(topology.IN_B), IN_TLS_B=dotted(topology.IN_B_TLS),
                  SERVICE_B=dotted(topology.SERVICE_B), CACHE_B=dotted(topology.CACHE_B), SERVICE_C=dotted(topology.SERVICE_C))
    servers.start_haproxy("haproxy-b", "podB", config, topology.IN_B[1], settings.log("haproxy-b"))
    servers.start_python_service("service_b", "podB", "mesh.service_b", topology.SERVICE_B, settings)


def start_front(settings: Settings) -> None:
    """Service A, in Node, and the sidecar around it."""
    ends = {"IN": topology.IN_A, "OUT": topology.OUT_A, "TLS": topology.OUT_A_TLS,
            "TO_IN": topology.SERVICE_A, "TO_OUT": topology.TO_B, "TO_TLS": topology.TO_B_TLS}
    words = {f"{name}_{part}": str(value) for name, end in ends.items() for part, value in zip(("ADDRESS", "PORT"), end)}
    config = fill("mesh/config/envoy-a.yaml", STATE=processes.STATE, TRUTH=settings.truth, **words)
    servers.start_envoy("podA", config, topology.IN_A[1], settings.log("envoy-a"))
    told = {"truth": settings.log("service_a"), "seed": settings.seed,
            "timer_ms": 1000 * timer_seconds(settings), "patience_ms": 1500 if "mtu" in settings.faults else 0, "listen": topology.SERVICE_A,
            "b": topology.OUT_A, "b_tls": topology.OUT_A_TLS, "d": topology.TO_D, "dns": topology.DNS, "name_of_d": topology.NAME_OF_D,
            "nats": topology.NATS, "subject": topology.SUBJECT}
    path = os.path.join(processes.STATE, "service_a.json")
    with open(path, "w") as file:
        json.dump(told, file)
    process = processes.start("service_a", "podA", ["node", os.path.join(FOLDER, "service_a.js"), path])
    processes.await_listener(process, "service_a", "podA", topology.SERVICE_A[1])


def start_gateway(settings: Settings) -> None:
    """nginx, the L7 gateway."""
    config = fill("config/gateway-nginx.conf", STATE=processes.STATE, TRUTH=settings.truth,
                  GATEWAY=dotted(topology.GATEWAY), SIDECAR=dotted(topology.IN_A))
    servers.start_nginx("gw7", config, topology.GATEWAY[1])


def start_all(settings: Settings) -> None:
    """Everything, the leaves first."""
    make_certificate()
    servers.start_redis("stores", topology.REDIS)
    servers.start_postgres("stores", topology.POSTGRES, access="host all all all trust\n")
    start_names(settings)
    start_queue(settings)
    start_rates(settings)
    start_quotes(settings)
    start_prices(settings)
    start_shelf(settings)
    start_front(settings)
    start_gateway(settings)
