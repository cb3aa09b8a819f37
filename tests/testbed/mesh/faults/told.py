"""Faults by how a server is started: a pool of one connection, a name that nobody knows, writes that wait for acknowledgements.

They never do anything while the load runs; mesh/servers.py asks for them by name.
"""

from mesh.faults.fault import Fault


class SmallPool(Fault):
    """E has one connection to postgres."""

    name, culprit, kind = "pool-exhausted", "E", "pool wait"


class NoSuchName(Fault):
    """The name server denies D's name."""

    name, culprit, kind, breaks = "dns-nxdomain", "dns", "no such name", True


class Nagle(Fault):
    """E's sockets wait for acknowledgements before small writes, and its callers delay those (Java's default)."""

    name, culprit, kind = "nagle", "E", "delayed acknowledgement"
