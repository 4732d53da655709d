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
        # Of an ordinary user: `wrap` does not use it for root, who would stay root by another name.
        return {"namespaces": f"{ON} ({tool})", "user": f"{ON} ({tool})"}
    root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    try:
        kernel.syscall("unshare", _WITHOUT_USER if root else _WITHOUT_USER | NEWUSER)
        if not root:
            _keep_own_name(user, group)
    except OSError as error:
        return {"namespaces": kernel.why(error)}
    return {"namespaces": ON} if root else {"namespaces": ON, "user": f"{ON} (own user namespace)"}


def _keep_own_name(user: int, group: int) -> None:
    """Be the same user inside: one that the namespace does not know could not even make a folder in its own view."""
    for name, words in (
        ("uid_map", f"{user} {user} 1"),
        ("setgroups", "deny"),
        ("gid_map", f"{group} {group} 1"),
    ):
        Path("/proc/self", name).write_bytes(words.encode())


def wrapped_by() -> str:
    """The tool in front of this program; empty: none."""
    return os.environ.get(WRAPPED, "")
