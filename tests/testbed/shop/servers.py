"""Starts the shop's servers and its three services, each in its namespace.

It never uses a system-wide configuration, port or data folder, and never sends a packet itself.
"""

import os

import processes
import servers
import wheels
from servers import Settings, fill
from shop import topology
from topology import dotted

GO_SOURCE = os.path.join(processes.HERE, "shop", "service_c.go")


def start_gateway(settings: Settings) -> None:
    """nginx, the L7 gateway."""
    config = fill("config/gateway-nginx.conf", STATE=processes.STATE, TRUTH=settings.truth,
                  GATEWAY=dotted(topology.GATEWAY), SIDECAR=dotted(topology.SIDECAR))
    servers.start_nginx("gw7", config, topology.GATEWAY[1])


def start_sidecar(settings: Settings) -> None:
    """haproxy, podA's sidecar."""
    config = fill("shop/config/haproxy.cfg", SIDECAR=dotted(topology.SIDECAR), SERVICE_A=dotted(topology.SERVICE_A))
    servers.start_haproxy("haproxy", "podA", config, topology.SIDECAR[1], settings.log("haproxy"))


def start_mesh(settings: Settings) -> None:
    """Envoy, podC's sidecar."""
    config = fill("shop/config/envoy.yaml", MESH_ADDRESS=topology.MESH[0], MESH_PORT=str(topology.MESH[1]),
                  SERVICE_ADDRESS=topology.SERVICE_C[0], SERVICE_PORT=str(topology.SERVICE_C[1]))
    servers.start_envoy("podC", config, topology.MESH[1], settings.log("envoy"))


def start_go_service(settings: Settings) -> None:
    """Service C, in Go."""
    process = processes.start("service_c", "podC", [
        wheels.build_go(GO_SOURCE), "-truth", settings.log("service_c"), "-listen", dotted(topology.SERVICE_C),
        "-redis", dotted(topology.REDIS), "-rates", dotted(topology.SERVICE_B),
        "-concurrency", str(settings.concurrency), "-seed", str(settings.seed)])
    processes.await_listener(process, "service_c", "podC", topology.SERVICE_C[1])


def start_all(settings: Settings) -> None:
    """Everything, the leaves first."""
    servers.start_redis("stores", topology.REDIS)
    servers.start_postgres("stores", topology.POSTGRES, "config/schema.sql")
    start_go_service(settings)
    start_mesh(settings)
    servers.start_python_service("service_b", "podB", "shop.service_b", topology.SERVICE_B, settings)
    servers.start_python_service("service_a", "podA", "shop.service_a", topology.SERVICE_A, settings)
    start_sidecar(settings)
    start_gateway(settings)
