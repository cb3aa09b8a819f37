"""Starts processes in the testbed's namespaces, remembers them on disk, and ends them.

It never ends a process that it did not start: a remembered pid counts only with the start time it had.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time

import network

STATE = os.path.join(tempfile.gettempdir(), "ap-testbed")
PIDS = os.path.join(STATE, "pids")
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = ("/usr/bin/python3", "-B")
PIPE = subprocess.PIPE
# Where quotas are set, in the older kind of control groups and in the newer one.
GROUPS = ("/sys/fs/cgroup/cpu", "/sys/fs/cgroup")
GROUP = "ap-testbed"


def start_time(pid: int) -> str | None:
    """When the kernel started this process, in its own ticks; None when it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def make_state() -> None:
    """The folder for pids, configurations and data of one run (postgres, another user, must get through)."""
    os.makedirs(PIDS, exist_ok=True)
    os.chmod(STATE, 0o755)


def start(name: str, netns: str | None, argv: list, output: str | None = None, stop=signal.SIGTERM, **more) -> subprocess.Popen:
    """Starts `argv` in a namespace; `stop` is the signal it likes to be ended with."""
    log = os.path.join(STATE, f"{name}.log")
    with open(output or log, "ab") as stdout, open(log, "ab") as stderr:
        process = subprocess.Popen(
            network.inside(netns, *argv), cwd=HERE, start_new_session=True,
            **{"stdin": subprocess.DEVNULL, "stdout": stdout, "stderr": stderr, **more})
    with open(os.path.join(PIDS, name), "w") as file:
        file.write(f"{process.pid} {start_time(process.pid)} {int(stop)}")
    return process


def start_python(name: str, netns: str, module: str, *args: str, **more) -> subprocess.Popen:
    """Starts one of the testbed's own modules in a namespace."""
    return start(name, netns, [*PYTHON, "-m", module, *args], **more)


def pid_of(name: str) -> int:
    """The pid of a process that was started under this name."""
    with open(os.path.join(PIDS, name)) as file:
        return int(file.read().split()[0])


def log_tail(name: str) -> str:
    """The last words of a process, for an error message."""
    try:
        with open(os.path.join(STATE, f"{name}.log"), errors="replace") as log:
            return log.read()[-1500:].strip()
    except FileNotFoundError:
        return ""


def await_listener(process: subprocess.Popen, name: str, netns: str, port: int, seconds: float = 15) -> None:
    """Waits until a port is open, without connecting to it: no packet may come from the wait itself."""
    def is_listening() -> bool:
        listening = subprocess.run(network.inside(netns, "ss", "-Hltn", f"sport = :{port}"), capture_output=True)
        return bool(listening.stdout.strip())

    await_true(is_listening, process, name, f"does not listen on port {port}", seconds)


def await_true(is_so, process: subprocess.Popen, name: str, what: str, seconds: float = 15) -> None:
    """Waits until something is so, as long as the process is there."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{name} {what}: {log_tail(name)}")
        time.sleep(0.03)


def await_word(process: subprocess.Popen, name: str, word: str) -> None:
    """Waits until a process has said a word, into its log or a pipe."""
    if process.stdout:
        if process.stdout.readline().strip() != word:
            raise RuntimeError(f"{name}: {log_tail(name)}")
        return
    await_true(lambda: word in log_tail(name), process, name, f"never said {word}")


def await_path(process: subprocess.Popen, name: str, path: str) -> None:
    """Waits until a process has made a file or a unix socket."""
    await_true(lambda: os.path.exists(path), process, name, f"never made {os.path.basename(path)}")


def remembered() -> dict:
    """Pid → signal of all processes that were started and still run."""
    found = {}
    for name in os.listdir(PIDS) if os.path.isdir(PIDS) else ():
        with open(os.path.join(PIDS, name)) as file:
            words = file.read().split()
        if len(words) == 3 and start_time(int(words[0])) == words[1]:
            found[int(words[0])] = int(words[2])
    return found


def reap() -> None:
    """Collects children that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def send(pids: dict) -> None:
    """Signals each process; one that has just ended is fine."""
    for pid, number in pids.items():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def wait_gone(pids, seconds: float) -> list:
    """Waits for the ends of processes; the ones still there."""
    deadline = time.monotonic() + seconds
    while True:
        reap()
        left = [pid for pid in pids if start_time(pid)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def stop_all() -> None:
    """Ends every process of ours, gently first, then everything left in our namespaces, and removes the state."""
    ours = remembered()
    send(ours)
    wait_gone(ours, 5)
    left = set(network.processes_inside()) | set(remembered())
    send(dict.fromkeys(left, signal.SIGKILL))
    if stubborn := wait_gone(left, 5):
        raise RuntimeError(f"processes that do not end: {stubborn}")
    for parent in GROUPS:
        if os.path.isdir(os.path.join(parent, GROUP)):
            os.rmdir(os.path.join(parent, GROUP))
    shutil.rmtree(STATE, ignore_errors=True)
