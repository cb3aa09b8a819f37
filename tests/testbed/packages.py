"""Installs the Debian packages that the testbed needs.

It never starts a system service, never upgrades what is there; what Debian does not have is wheels.py's business.
"""

import os
import shutil
import subprocess

import wheels

NEEDED = (
    "tcpdump", "tshark", "tcptrace", "nginx-light", "haproxy", "redis-server", "postgresql", "python3-psycopg",
    "iptables", "iproute2", "dnsmasq-base", "openssl", "procps", "util-linux", "wrk", "curl", "nodejs", "systemd", "python3-pip", "nats-server",
    "nghttp2-client", "nghttp2-server", "nghttp2-proxy", "mariadb-server-core", "mariadb-client-core",
    "openjdk-17-jdk-headless",
    # The recorder's programs are built again and compared.
    "clang-19", "llvm-19",
    # The page is opened and used.
    "chromium", "chromium-driver", "python3-selenium",
)
# Programs that other packages than Debian's may bring, too, and the package that does here: the page is built again and compared.
PROGRAMS = {"npm": "npm"}
GUARD = "/usr/sbin/policy-rc.d"
ASIDE = GUARD + ".before-testbed"
QUIET = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}


def missing() -> list:
    """The needed packages that are not installed."""
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *NEEDED]
    listing = subprocess.run(query, capture_output=True, text=True, env=QUIET).stdout
    installed = {line.split()[1] for line in listing.splitlines() if line.startswith("installed ")}
    programs = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return [name for name in NEEDED if name not in installed] + programs


def forbid_services() -> None:
    """Debian asks this file before a package starts its service; the answer 101 is no."""
    if os.path.exists(GUARD) and not os.path.exists(ASIDE):
        os.rename(GUARD, ASIDE)
    with open(GUARD, "w") as file:
        file.write("#!/bin/sh\nexit 101\n")
    os.chmod(GUARD, 0o755)


def allow_services() -> None:
    """Puts back the answer that was there before."""
    if os.path.exists(ASIDE):
        os.replace(ASIDE, GUARD)
    else:
        os.remove(GUARD)


def apt(*args: str) -> None:
    """Runs apt-get; it speaks only when it fails."""
    done = subprocess.run(["apt-get", "-qq", *args], capture_output=True, text=True, env=QUIET)
    if done.returncode:
        raise RuntimeError(f"apt-get {args[0]}: {done.stderr.strip()[-1500:]}")


def install() -> None:
    """Installs what is missing, if anything is."""
    install_packages()
    wheels.fetch()


def install_packages() -> None:
    """Debian's packages."""
    names = missing()
    if not names:
        print("testbed: everything is installed")
        return
    print(f"testbed: installing {' '.join(names)}", flush=True)
    forbid_services()
    try:
        apt("update")
        apt("install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", *names)
    finally:
        allow_services()
    if left := missing():
        raise RuntimeError(f"still missing: {' '.join(left)}")
