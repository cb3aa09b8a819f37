"""Faults of clocks: a pod's namespace becomes a machine of its own, whose clocks are wrong in a way that is known.

They never touch this machine's clocks: the recording is split and its stamps are bent when it is over (`tests/src/split/`).
"""

import json
import os
import re
import shutil
import subprocess

import wheels
from mesh.faults.fault import Fault


class Clock(Fault):
    """`+37ms,+40ppm`: ahead and fast; `step`: set back by 150 ms in the middle."""

    name, words, kind = "clock", ("POD", "OFFSET,DRIFT or step"), "wrong clock"

    def __init__(self, text: str, pod: str, how: str):
        super().__init__(text)
        if not re.fullmatch(r"step|[+-]?[\d.]+(s|ms|us|ns),[+-]?[\d.]+(ppm|ppb)", how):
            raise RuntimeError(f"{text}: {how} is neither step nor such as +37ms,+40ppm")
        self.culprit = pod


def bend(folder: str, faults: list) -> list:
    """Bends the clocks of a recording as its faults say, all at once; how, for the truth."""
    wanted = [fault.text for fault in faults if isinstance(fault, Clock)]
    if not wanted:
        return []
    bundle = os.path.join(folder, "box.afterpath")
    if not os.path.isdir(bundle):
        raise RuntimeError("clocks are bent in the recorder's bundles only: --capture recorder")
    done = subprocess.run([wheels.built("split"), bundle, bundle + ".split", *wanted], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"split: {done.stderr.strip()}")
    shutil.rmtree(bundle)
    os.rename(bundle + ".split", bundle)
    return json.loads(done.stdout)
