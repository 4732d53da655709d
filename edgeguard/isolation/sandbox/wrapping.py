"""Puts bubblewrap and a systemd scope in front of a worker's command, where they are installed and work here.

Both run before the worker's own program does, so what they set up holds from its first instruction. Host side only.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import NOT_ASKED, ON, Jail, Level
from edgeguard.isolation.sandbox.namespaces import WRAPPED
from edgeguard.isolation.sandbox.paths import device_paths, loader_paths

BUBBLEWRAP = "bubblewrap"
SCOPE = "scope"
_TRIAL_DEADLINE = 10.0
"""s; a tool that does not answer by then is not used."""


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A command to start, and for each tool `on` or why it is not in front of it.

    Behind bubblewrap the started process is bubblewrap's, not the worker's: ending it ends the worker too.
    """

    command: tuple[str, ...]
    tools: Mapping[str, str]


def wrap(command: Sequence[str], jail: Jail) -> Wrapped:
    """`command` behind every tool that works here; descriptors that are inheritable reach it unchanged."""
    tools = dict.fromkeys((BUBBLEWRAP, SCOPE), NOT_ASKED)
    whole = list(command)
    if jail.level >= Level.STRICT:
        tools[BUBBLEWRAP] = kernel.missing(BUBBLEWRAP) or _no_bubblewrap_for_root() or _bubblewrap_works()
        if tools[BUBBLEWRAP] == ON:
            whole = [*_bubblewrap(jail), "--", *whole]
    if jail.memory is not None:
        tools[SCOPE] = kernel.missing(SCOPE) or _scope_works()
        if tools[SCOPE] == ON:
            whole = [*_scope(jail.memory), "--", *whole]
    return Wrapped(tuple(whole), tools)


def _bubblewrap(jail: Jail) -> list[str]:
    """Its own user, network, process, IPC and mount namespaces; of the files, read-only, what a loader needs."""
    options = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    readable = jail.readable or loader_paths(gpu=jail.gpu)
    wanted = {Path(path) for path in (sys.prefix, sys.base_prefix, *readable)}
    wanted -= {path for path in wanted if path == Path("/") or path.parts[1] in ("proc", "dev")}
    for path in sorted(path for path in wanted if not wanted.intersection(path.parents)):
        options += ["--ro-bind-try", str(path), str(path)]
    options += ["--proc", "/proc", "--dev", "/dev"]
    for device in device_paths(gpu=jail.gpu):
        options += ["--dev-bind-try", device, device]
    return [*options, "--chdir", "/", "--setenv", WRAPPED, BUBBLEWRAP]


def _no_bubblewrap_for_root() -> str:
    """Behind it, root stays root by another name, and can no longer become a user that owns nothing."""
    return "the host runs as root: the worker becomes a user of its own instead" if os.geteuid() == 0 else ""


def _scope(memory: int) -> list[str]:
    """A control group with `memory` bytes at most, and no swap."""
    whose = [] if os.geteuid() == 0 else ["--user"]
    limits = ["-p", f"MemoryMax={memory}", "-p", "MemorySwapMax=0"]
    return ["systemd-run", *whose, "--scope", "--quiet", "--collect", *limits]


@functools.cache
def _bubblewrap_works() -> str:
    return _trial(["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"])


@functools.cache
def _scope_works() -> str:
    if not Path("/run/systemd/system").is_dir():
        return "this machine was not started by systemd"
    return _trial(_scope(1 << 28))


def _trial(tool: list[str]) -> str:
    program = shutil.which("true")
    if shutil.which(tool[0]) is None or program is None:
        return f"`{tool[0]}` is not installed"
    try:
        done = subprocess.run(  # noqa: S603  # a constant command, no shell
            [*tool, "--", program], capture_output=True, text=True, timeout=_TRIAL_DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`{tool[0]}` does not run: {error}"
    said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
    return f"`{tool[0]}` does not work here: {said}" if done.returncode else ON
