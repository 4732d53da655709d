"""Own network, System V IPC, host name and cgroup view; own user namespace where the process is an ordinary user."""

from __future__ import annotations

import os
from pathlib import Path

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import ON

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWNET = 0x40000000

WRAPPED = "EDGEGUARD_SANDBOX_WRAPPED"
"""Set by `wrap` for what it starts: the tool that made the namespaces before this program began."""

_WITHOUT_USER = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWNET


def separate() -> dict[str, str]:
    """Leave the host's namespaces: the states of `namespaces` and, where a user namespace did it, `user`.

    Needs a process with one thread. An ordinary user's own user namespace has no user of the host's in it at all:
    nothing in it can become another user, and its capabilities are worth nothing outside.
    """
    absent = kernel.missing("namespaces")
    if absent:
        return {"namespaces": absent}
    tool = wrapped_by()
    if tool:
        # Its user namespace may still be the machine's root by another name.
        state = "is the machine's root outside" if _is_root_outside() else f"{ON} ({tool})"
        return {"namespaces": f"{ON} ({tool})", "user": state}
    root = os.geteuid() == 0
    try:
        kernel.syscall("unshare", _WITHOUT_USER if root else _WITHOUT_USER | NEWUSER)
    except OSError as error:
        return {"namespaces": kernel.why(error)}
    return {"namespaces": ON} if root else {"namespaces": ON, "user": f"{ON} (own user namespace)"}


def wrapped_by() -> str:
    """The tool in front of this program; empty: none."""
    return os.environ.get(WRAPPED, "")


def _is_root_outside() -> bool:
    """Whether any user in here is user 0 of the namespace around it."""
    rows = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    return any(int(row.split()[1]) == 0 for row in rows)
