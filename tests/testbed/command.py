"""The testbed's command line: what can be asked of it, and what an interruption does.

It never runs without being root, and an interruption never skips the cleaning up.
"""

import argparse
import os
import signal
import sys


def parser() -> argparse.ArgumentParser:
    """All subcommands."""
    top = argparse.ArgumentParser(prog="testbed", description="Real traffic with known truth, on one machine.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("install", help="install the Debian packages it needs")
    up = commands.add_parser("up", help="start the network and the servers, and leave them running")
    add_load(up)
    commands.add_parser("down", help="remove everything, also what a crashed run left")
    record = commands.add_parser("record", help="make one recording")
    add_load(record)
    record.add_argument("--out", required=True, metavar="DIR")
    record.add_argument("--requests", type=int, required=True, metavar="N", help="measured requests, after the warm-up")
    record.add_argument("--delay", type=float, default=0, metavar="MS", help="hold one request's packet this long in l4gw")
    record.add_argument("--delay-request", type=int, default=0, metavar="K", help="the measured request to hold, from 1")
    record.add_argument("--fault", action="append", default=[], dest="faults", metavar="FAULT",
                        help="what goes wrong while the load runs, such as stall:C:500ms (mesh only; may be repeated; see README.md)")
    record.add_argument("--burn", type=float, default=0, metavar="MS", help="processor time that C takes more for each request (mesh only)")
    record.add_argument("--snaplen", type=int, default=0, help="bytes kept of each packet; 0: all")
    record.add_argument("--capture", choices=("interfaces", "any", "recorder"), default="interfaces")
    record.add_argument("--recorder", metavar="PROGRAM", help="afterpath-record, for --capture recorder")
    record.add_argument("--recorder-arguments", default="", metavar="TEXT", help="more arguments for it, separated by blanks")
    record.add_argument("--keep-ids", action="store_true", help="do not scrub the ids from the captures")
    scrub = commands.add_parser("scrub", help="overwrite the ids in a recording's captures")
    scrub.add_argument("dir", metavar="DIR")
    check = commands.add_parser("check", help="compare a recording's captures with its truth, by tshark")
    check.add_argument("dir", metavar="DIR")
    protocols = commands.add_parser("protocols", help="record tiny captures of single protocols")
    protocols.add_argument("--out", required=True, metavar="DIR")
    return top


def add_load(command: argparse.ArgumentParser) -> None:
    """What services and load share."""
    command.add_argument("--topology", choices=("shop", "mesh"), default="shop", help="the smaller or the larger one (default: shop)")
    command.add_argument("--profile", choices=("causal", "timers"), default="causal",
                         help="causal: every step follows something that was read; timers: services also wait before calls (mesh only)")
    command.add_argument("--concurrency", type=int, default=2, metavar="C")
    command.add_argument("--seed", type=int, default=1)


def run(given: argparse.Namespace) -> None:
    """Does what was asked; modules are loaded late, because `install` runs on a bare machine."""
    if given.command == "install":
        import packages
        return packages.install()
    import record
    if given.command == "up":
        with record.exclusive():
            return record.up(given)
    if given.command == "down":
        with record.exclusive():
            return record.down()
    if given.command == "record":
        return record.record(given)
    if given.command == "scrub":
        import scrub
        return scrub.scrub(given.dir)
    if given.command == "check":
        import check
        return check.check(given.dir)
    from protocols import recorder
    return recorder.record(given.out)


def interrupted(number: int, _frame) -> None:
    """A second signal is ignored: the cleaning up goes on."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Exit code 1 for what could not be done, 2 for wrong usage."""
    given = parser().parse_args()
    if given.command == "record" and bool(given.delay) != (1 <= given.delay_request <= given.requests):
        parser().error("--delay and --delay-request go together, and the request is one of the measured")
    if given.command == "record" and given.faults and given.topology != "mesh":
        parser().error("faults are made in the mesh: --topology mesh")
    if given.command == "record" and given.capture != "recorder" and any(fault.startswith("clock:") for fault in given.faults):
        parser().error("clocks are bent in the recorder's bundles only: --capture recorder")
    if os.geteuid() != 0:
        parser().error("it must run as root")
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupted)
    try:
        run(given)
    except (RuntimeError, OSError) as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
