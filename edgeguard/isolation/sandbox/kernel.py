"""System calls that Python does not offer, through libc's `syscall`. Decides nothing; fails with `OSError` only."""

from __future__ import annotations

import ctypes
import os
import platform

from edgeguard.isolation.sandbox.syscalls import AUDIT_ARCH, number

WITHOUT = "EDGEGUARD_SANDBOX_WITHOUT"
"""Comma-separated layers to do without, as on a kernel that lacks them: it can only lower what is reached."""

PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def machine() -> str:
    """This processor, by the name of its column in the table of system calls.

    Raises:
        OSError: the table has no column for it.
    """
    name = platform.machine()
    if name not in AUDIT_ARCH:
        raise OSError(0, f"no table of system calls for the processor `{name}`")
    return name


def syscall(name: str, *arguments: int) -> int:
    """Call the kernel. Arguments are numbers or addresses, up to six of 64 bits.

    Raises:
        OSError: the kernel's refusal, or the call does not exist on this processor.
    """
    called = number(name, machine())
    if called is None:
        raise OSError(0, f"`{name}` does not exist on this processor")
    result: int = _libc.syscall(ctypes.c_long(called), *(ctypes.c_long(value) for value in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def prctl(operation: int, *arguments: int) -> int:
    """As `syscall`, padded: `prctl` refuses some operations unless the unused arguments are zero."""
    padded = (*arguments, 0, 0, 0, 0)[:4]
    return syscall("prctl", operation, *padded)


def missing(layer: str) -> str:
    """Why `layer` is to be done without; empty when it is not."""
    return f"left out by {WITHOUT}" if layer in left_out() else ""


def left_out() -> list[str]:
    """What the environment asks to do without, whether or not there is such a layer."""
    return [word.strip() for word in os.environ.get(WITHOUT, "").split(",") if word.strip()]


def why(error: OSError) -> str:
    """A refusal as the reason of a layer: one line, no name of this program's language."""
    return error.strerror or str(error) or "refused"
