"""A conversation with dnsmasq: addresses, an alias, names that are not there, EDNS, an answer cut short, TCP, a dead port.

It never asks a name server but the one that it started, which asks no other.
"""

import socket
import struct

import processes

ENDPOINT = ("127.0.0.1", 53)
DEAD = ("127.0.0.1", 5300)
A, CNAME, PTR, MX, TXT, AAAA, SRV = 1, 5, 12, 15, 16, 28, 33
RECORDS = (
    "--host-record=shop.test,10.77.0.20,fd00::20", "--cname=www.shop.test,shop.test", "--mx-host=shop.test,mail.shop.test,10",
    "--srv-host=_http._tcp.shop.test,shop.test,80,1,1", "--txt-record=shop.test,a thing worth having",
    *(f"--host-record=many.test,10.77.2.{n}" for n in range(1, 6)),
    *(f"--txt-record=long.test,{'long text ' * 20}{n}" for n in range(6)),
)


def start_servers(netns: str) -> None:
    """dnsmasq, which knows .test and nothing else."""
    process = processes.start("dnsmasq", netns, [
        "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--user=root", "--pid-file=",
        "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", *RECORDS])
    processes.await_listener(process, "dnsmasq", netns, ENDPOINT[1])


def question(number: int, name: str, kind: int, edns: bool = False) -> bytes:
    """A query message."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    message = struct.pack(">6H", number, 0x0100, 1, 0, 0, int(edns)) + labels + b"\0" + struct.pack(">HH", kind, 1)
    return message + (struct.pack(">BHHIH", 0, 41, 1232, 0, 0) if edns else b"")


def ask(number: int, name: str, kind: int, edns: bool = False, server: tuple = ENDPOINT) -> bytes:
    """Over UDP, from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.3)
        udp.connect(server)
        udp.send(question(number, name, kind, edns))
        try:
            return udp.recv(4096)
        except OSError:
            return b""


def ask_by_tcp(*questions: bytes) -> None:
    """Over one TCP connection, all questions at once."""
    with socket.create_connection(ENDPOINT, timeout=1) as tcp:
        tcp.sendall(b"".join(struct.pack(">H", len(one)) + one for one in questions))
        reader = tcp.makefile("rb")
        for _ in questions:
            reader.read(struct.unpack(">H", reader.read(2))[0])


def ask_twice(number: int, name: str) -> None:
    """Two queries with different ids before the first answer, from one port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(0.3)
        udp.connect(ENDPOINT)
        udp.send(question(number, name, A))
        udp.send(question(number + 1, name, AAAA))
        udp.recv(4096), udp.recv(4096)


def main() -> None:
    """The whole conversation."""
    for number, (name, kind) in enumerate((
            ("shop.test", A), ("shop.test", AAAA), ("www.shop.test", A), ("www.shop.test", CNAME), ("nothing.test", A),
            ("many.test", A), ("many.test", AAAA), ("shop.test", MX), ("shop.test", TXT), ("_http._tcp.shop.test", SRV),
            ("20.0.77.10.in-addr.arpa", PTR), ("ShOp.TeSt", A), ("elsewhere.example", A)), 0x1000):
        ask(number, name, kind)
    ask(0x2000, "shop.test", A, edns=True)
    ask_twice(0x2100, "www.shop.test")
    ask(0x3000, "long.test", TXT)  # cut short: the answer says to ask again by TCP
    ask_by_tcp(question(0x3000, "long.test", TXT))
    ask_by_tcp(question(0x3100, "shop.test", A), question(0x3101, "nothing.test", A))
    ask(0x4000, "shop.test", A, server=DEAD)


if __name__ == "__main__":
    main()
