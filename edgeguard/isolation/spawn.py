"""Starts a worker's process: this interpreter, a constant program, the descriptors it may hold, and nothing else.

Never forks in Python (a host has threads): the child runs no code of the host's before its own program. No path is
handed on, and next to nothing of the environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); from edgeguard.isolation.worker import main; main(sys.argv[2])"
_KEPT = (
    "CUDA_VISIBLE_DEVICES",
    "EDGEGUARD_DEBUG",
    "EDGEGUARD_SANDBOX_WITHOUT",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
)
"""What a worker inherits of the environment: where shared libraries are, and nothing of the host's secrets."""

_OF_TOOLS = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR")
"""And where a tool in front of it finds the user's service manager."""

_FIXED = {
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}

_NONE = -1


class Handed(NamedTuple):
    """The descriptors of one worker. -1: it does not get that one, and cannot do what it is for."""

    life: int
    """A pipe's end that closes when the host ends."""
    load: int
    """Sealed memory with its order and its models."""
    report: int
    """A pipe's end to say how loading went."""
    frames: int = _NONE
    """Memory with pictures, which it can only read."""
    suggestions: int = _NONE
    """Memory for its answers."""
    bell: int = _NONE
    """An eventfd that tells the host of an answer."""

    @property
    def open(self) -> tuple[int, ...]:
        """Those it gets."""
        return tuple(descriptor for descriptor in self if descriptor != _NONE)


def debugging() -> bool:
    """Whether a worker's messages are wanted on the host's own error output."""
    return os.environ.get("EDGEGUARD_DEBUG") == "1"


def spawn(handed: Handed, front: Sequence[str] = (), program: str = "") -> subprocess.Popen[bytes]:
    """Start the process. `front`: a command that starts what follows it. `program`: another one only in tests.

    Raises:
        OSError: the system has no room for a process.
    """
    kept = (*_KEPT, *(_OF_TOOLS if front else ()))
    environment = {name: os.environ[name] for name in kept if name in os.environ} | _FIXED
    return subprocess.Popen(  # noqa: S603  # this interpreter, a constant program, no shell
        [*front, sys.executable, "-I", "-c", program or _PROGRAM, _ROOT, ",".join(map(str, handed))],
        pass_fds=handed.open,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if debugging() else subprocess.DEVNULL,
        env=environment,
    )
