"""Programs that Debian does not have: Envoy, a Go newer than Debian's, Python's libraries of NATS, gRPC, WebSocket and MySQL, unpacked from wheels whose hashes are pinned, and our own programs in Go, Java and Rust.

It never installs anything: all is below target/, and fetched once.
"""

import os
import subprocess
import sys
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "..", "target", "testbed")
LIST = os.path.join(HERE, "wheels.txt")


def stamp() -> str:
    """What is wanted, pins and all: anything else that is unpacked is old."""
    with open(LIST) as file:
        return file.read()


def is_there() -> bool:
    """Whether all of it is unpacked."""
    try:
        with open(os.path.join(FOLDER, "wheels.txt")) as file:
            return file.read() == stamp()
    except FileNotFoundError:
        return False


def fetch() -> None:
    """Fetches and unpacks what is missing."""
    if is_there():
        return
    print("testbed: fetching Envoy, Go and Python's libraries", flush=True)
    os.makedirs(FOLDER, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            ["/usr/bin/python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--only-binary", ":all:", "--require-hashes", "-d", scratch, "-r", LIST], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"pip download: {done.stderr.strip()[-1500:]}")
        for name in os.listdir(scratch):
            unpack(os.path.join(scratch, name))
    with open(os.path.join(FOLDER, "wheels.txt"), "w") as file:
        file.write(stamp())


def unpack(wheel: str, folder: str = FOLDER) -> None:
    """Unpacks a wheel, modes too (zipfile forgets them)."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = archive.extract(member, folder)
            if mode := member.external_attr >> 16 & 0o777:
                os.chmod(path, mode)


def program(*parts: str) -> str:
    """The path of an unpacked program."""
    path = os.path.abspath(os.path.join(FOLDER, *parts))
    if not os.path.exists(path):
        raise RuntimeError(f"{parts[-1]} is missing: run `testbed install`")
    return path


def envoy() -> str:
    """Envoy's own program; the wheel's wrapper around it is not needed."""
    return program("envoy", "_bin", "envoy")


def build_go(source: str) -> str:
    """Builds one of our Go programs if it is new or changed; the program's path."""
    name = os.path.splitext(os.path.basename(source))[0]
    # tests/other-go names another Go, and how to build.
    root, flags = os.environ.get("AFTERPATH_GO", program("go")), os.environ.get("AFTERPATH_GO_FLAGS", "-trimpath")
    made = os.path.join(os.path.dirname(root), name)
    if os.path.exists(made) and os.path.getmtime(made) > os.path.getmtime(source):
        return made
    go = os.path.join(root, "bin", "go")
    environment = {**os.environ, "GOROOT": root, "GOCACHE": os.path.join(FOLDER, "go-cache"),
                   "GOPATH": os.path.join(FOLDER, "go-path"), "GOFLAGS": flags, "GO111MODULE": "off", "CGO_ENABLED": "0",
                   "GOTOOLCHAIN": "local"}
    done = subprocess.run([go, "build", "-o", made, source], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"go build {os.path.basename(source)}: {done.stderr.strip()[-1500:]}")
    return made


def build_java(source: str) -> str:
    """Compiles one of our Java programs if it is new or changed; the folder of its classes."""
    made = os.path.join(os.path.abspath(FOLDER), "java")
    stamp = os.path.join(made, os.path.splitext(os.path.basename(source))[0] + ".class")
    if os.path.exists(stamp) and os.path.getmtime(stamp) > os.path.getmtime(source):
        return made
    done = subprocess.run(["javac", "-d", made, source], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"javac {os.path.basename(source)}: {done.stderr.strip()[-1500:]}")
    return made


def built(name: str) -> str:
    """A program of this workspace."""
    path = os.path.abspath(os.path.join(FOLDER, "..", "release", name))
    if not os.path.exists(path):
        raise RuntimeError(f"{name} is missing: cargo build --release -p afterpath-tests")
    return path


if __name__ == "__main__":
    # For tests that want one of our Go programs: its path.
    fetch()
    print(build_go(*sys.argv[1:]))
