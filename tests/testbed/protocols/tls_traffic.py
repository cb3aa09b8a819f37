"""A conversation in TLS: 1.2 and 1.3, SNI, ALPN, resumption of both kinds, a client's certificate, alerts, plain text by mistake.

It never keeps a key: certificates are made for each capture and go with its state.
"""

import os
import socket
import ssl
import subprocess
import time

import processes
import servers
from protocols import http1_traffic

BOTH, OLD, MUTUAL = 443, 8443, 9443
NAME = "shop.test"
REQUEST = f"GET /index.txt HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode()


def path(name: str) -> str:
    """A file of this capture's state."""
    return os.path.join(processes.STATE, name)


def start_servers(netns: str) -> None:
    """nginx with a certificate of its own making."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
                    "-keyout", path("server.key"), "-out", path("server.pem")], check=True, capture_output=True)
    servers.fill("config/tls.conf", STATE=processes.STATE)
    http1_traffic.start_file_server(netns)


def context(trusting: bool = True, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3, protocols: tuple = ()) -> ssl.SSLContext:
    """A client; one that is not trusting knows no authority."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1_2, newest
    if trusting:
        made.load_verify_locations(path("server.pem"))
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


def talk(client: ssl.SSLContext, port: int, name: str = NAME, session=None, count: int = 1):
    """One connection with a few requests; its session, for the next. A refusal is for the capture."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as plain:
            with client.wrap_socket(plain, server_hostname=name, session=session) as secure:
                for _ in range(count if secure.selected_alpn_protocol() != "h2" else 0):
                    secure.sendall(REQUEST)
                    secure.recv(65536)
                    time.sleep(0.02)
                return secure.session
    except OSError as error:
        print(port, name, error)
        return None


def mistakes() -> None:
    """Alerts of both sides, a versionless hello, and plain HTTP to a TLS port."""
    talk(context(trusting=False), BOTH)
    talk(context(trusting=False, newest=ssl.TLSVersion.TLSv1_2), BOTH)
    talk(context(), BOTH, name="other.test")
    ancient = context()
    ancient.set_ciphers("ALL:@SECLEVEL=0")
    ancient.minimum_version = ancient.maximum_version = ssl.TLSVersion.TLSv1_1
    talk(ancient, BOTH)
    newest_only = context()
    newest_only.minimum_version = ssl.TLSVersion.TLSv1_3
    talk(newest_only, OLD)
    with socket.create_connection(("127.0.0.1", BOTH), timeout=2) as plain:
        plain.sendall(REQUEST)
        plain.recv(65536)


def main() -> None:
    """The whole conversation."""
    talk(context(), BOTH, count=3)
    talk(context(protocols=("http/1.1",)), BOTH)
    talk(context(protocols=("h2", "http/1.1")), BOTH)
    for port, newest in ((BOTH, ssl.TLSVersion.TLSv1_3), (BOTH, ssl.TLSVersion.TLSv1_2), (OLD, ssl.TLSVersion.TLSv1_2)):
        client = context(newest=newest)
        talk(client, port, session=talk(client, port), count=2)
    mutual = context()
    talk(mutual, MUTUAL)
    mutual.load_cert_chain(path("server.pem"), path("server.key"))
    talk(mutual, MUTUAL)
    mistakes()


if __name__ == "__main__":
    main()
