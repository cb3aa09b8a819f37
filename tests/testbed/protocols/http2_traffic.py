"""Conversations in HTTP/2 without TLS: nginx, nghttpd and nghttpx asked by curl, nghttp and h2load, with prior knowledge and by upgrade.

It never talks to any but the servers that it started.
"""

import os
import subprocess

import processes
import servers

NGINX, NGHTTPD, NGHTTPX = 8080, 8082, 8081
LONG = 40_000


def start_servers(netns: str) -> None:
    """nginx; nghttpd, which pushes, echoes and sends trailers; nghttpx, which lets HTTP/1 upgrade, before nginx."""
    www = os.path.join(processes.STATE, "www")
    os.makedirs(www)
    for name, content in (("index.txt", "hello\n"), ("style.txt", "a style\n"), ("long.txt", "0123456789abcde\n" * (LONG // 16))):
        with open(os.path.join(www, name), "w") as file:
            file.write(content)
    log = os.path.join(processes.STATE, "nginx.log")
    nginx = processes.start("nginx", netns, ["nginx", "-e", log, "-c", servers.fill("config/http2-nginx.conf", STATE=processes.STATE)])
    processes.await_listener(nginx, "nginx", netns, NGINX)
    nghttpd = processes.start("nghttpd", netns, [
        "nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", www, "--push=/index.txt=/style.txt", "--trailer=x-sum: 12", "--echo-upload",
        str(NGHTTPD)])
    processes.await_listener(nghttpd, "nghttpd", netns, NGHTTPD)
    nghttpx = processes.start("nghttpx", netns, [
        "nghttpx", f"--frontend=127.0.0.1,{NGHTTPX};no-tls", f"--backend=127.0.0.1,{NGINX};;proto=h2", "--workers=1",
        f"--pid-file={processes.STATE}/nghttpx.pid", "--errorlog-file=/dev/null", "--conf=/dev/null"])
    processes.await_listener(nghttpx, "nghttpx", netns, NGHTTPX)


def run(*command: str, status: int = 0) -> None:
    """One client, to its end."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    if done.returncode != status:
        raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")


def url(port: int, path: str) -> str:
    """Where a path is."""
    return f"http://127.0.0.1:{port}{path}"


def curl(*arguments: str) -> None:
    """curl, with prior knowledge."""
    run("curl", "-s", "-o", "/dev/null", "--http2-prior-knowledge", *arguments)


def one_by_one() -> None:
    """nginx by curl: found and not, HEAD, refused methods, a range, a redirect, an error, a body, identifiers. Debian's curl can't ask twice."""
    for path in ("/index.txt", "/missing.txt?query=1", "/moved", "/broken"):
        curl(url(NGINX, path))
    curl("-I", url(NGINX, "/long.txt"))
    curl("-X", "DELETE", url(NGINX, "/index.txt"))
    curl("-r", "10-29", url(NGINX, "/long.txt"))
    curl("-d", "a body", url(NGHTTPD, "/echo"))
    curl("-H", "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "-H", "X-Request-ID: r-1", url(NGINX, "/index.txt"))
    curl("-H", "X-Long: " + "x" * 3000, url(NGINX, "/index.txt"))


def side_by_side() -> None:
    """Many streams at once, and windows smaller than what passes through them."""
    run("h2load", "-p", "h2c", "-n", "60", "-c", "2", "-m", "10", url(NGINX, "/index.txt"), url(NGINX, "/missing.txt"))
    run("nghttp", "-n", "-w", "14", "-W", "14", url(NGINX, "/long.txt"))
    run("nghttp", "-n", url(NGINX, "/index.txt"), url(NGINX, "/long.txt"), url(NGINX, "/moved"))


def extras() -> None:
    """A push, trailers both ways, headers in several frames, padding."""
    run("nghttp", "-n", url(NGHTTPD, "/index.txt"))
    run("nghttp", "-n", "--continuation", "--padding=17", "--trailer=x-more: 1", "-d", "/etc/hostname", url(NGHTTPD, "/echo"))


def upgrades() -> None:
    """HTTP/1 that goes on as HTTP/2, its first request answered there; with HTTP/2 behind the proxy."""
    run("curl", "-s", "-o", "/dev/null", "--http2", url(NGHTTPX, "/index.txt"))
    run("nghttp", "-n", "-u", url(NGHTTPX, "/index.txt"), url(NGHTTPX, "/missing.txt"))


if __name__ == "__main__":
    for part in (one_by_one, side_by_side, extras, upgrades):
        part()
