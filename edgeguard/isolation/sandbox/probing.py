"""What this machine's kernel offers for a worker's jail, found out by asking and by trying. Host side; slow."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from edgeguard.isolation.sandbox import kernel, landlock, seccomp
from edgeguard.isolation.sandbox.bpf import ALLOW, KILL
from edgeguard.isolation.sandbox.levels import Jail, Level
from edgeguard.isolation.sandbox.wrapping import BUBBLEWRAP, SCOPE, wrap

_ROOT = str(Path(__file__).resolve().parents[3])
_TRIAL = (
    "import sys; sys.path.insert(0, sys.argv[1]); import json, os; "
    "from edgeguard.isolation.sandbox import Jail, enter, seal; "
    "jail = Jail(keep=(1,)); enter(jail); found = seal(jail); "
    "os.write(1, json.dumps({'level': found.level.name.lower(), **found.layers}).encode())"
)
_LEFT_OUT = ("landlock", "mounts", "namespaces", "seccomp", BUBBLEWRAP, SCOPE)
"""What `EDGEGUARD_SANDBOX_WITHOUT` can name."""
_DEADLINE = 20.0
"""s for the process that tries every layer on itself."""


def probe() -> Mapping[str, str]:
    """What the kernel has, and what a process of this user reaches with it: `level`, then each layer by name.

    Starts short-lived processes. Never raises: what cannot be found out says why.
    """
    facts = {
        "kernel": f"{platform.release()} ({platform.machine()})",
        "seccomp": _seccomp(),
        "landlock": _landlock(),
    }
    unknown = [f"`{name}`" for name in kernel.left_out() if name not in _LEFT_OUT]
    if unknown:
        facts[kernel.WITHOUT] = f"there is no {', '.join(unknown)}: it can name {', '.join(_LEFT_OUT)}"
    tools = wrap((), Jail(memory=1 << 28)).tools
    facts |= {"bubblewrap": tools[BUBBLEWRAP], "systemd scope": tools[SCOPE]}
    tried = _tried()
    facts["level"] = tried.pop("level", Level.OFF.name.lower())
    return facts | {f"layer {name}": state for name, state in tried.items()}


def _seccomp() -> str:
    absent = kernel.missing("seccomp")
    if absent:
        return f"no: {absent}"
    return "yes" if seccomp.offered(ALLOW) and seccomp.offered(KILL) else "no"


def _landlock() -> str:
    try:
        return f"version {landlock.abi()}"
    except OSError as error:
        return f"no: {kernel.why(error)}"


def _tried() -> dict[str, str]:
    """The level and the layers that a process came to which went as far as it could."""
    try:
        done = subprocess.run(  # noqa: S603  # this interpreter, a constant program, no shell
            [sys.executable, "-I", "-c", _TRIAL, _ROOT],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
        return cast("dict[str, str]", json.loads(done.stdout))
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return {"trial": f"the process that tries it did not answer: {error}"}
