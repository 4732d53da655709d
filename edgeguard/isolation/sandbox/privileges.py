"""Gives up what a process may do by who it is: privileges to gain, capabilities, being root, being looked into."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import ON

_VERSION_3 = 0x20080522
_HIGHEST = 63
CHANGE_USER = 1 << 6 | 1 << 7
"""CAP_SETGID and CAP_SETUID, as bits: what `leave_root` needs."""

_FIRST_UNUSED_UID = 0x70000000
"""Start of the range that neither people, services nor containers get (systemd's UIDS-GIDS): one id a worker."""
_NOBODY = 65534


def no_new_privs() -> str:
    """No program it starts gains anything; also what lets an ordinary user install filters."""
    try:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    except OSError as error:
        return kernel.why(error)
    return ON


def undumpable() -> str:
    """No core dump, and no other process of this user may trace it or read its memory."""
    try:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    except OSError as error:
        return kernel.why(error)
    return ON


def drop_capabilities(kept: int = 0) -> str:
    """Give up all of them, for good, but those of `kept` (bits) that are needed once more before the end."""
    try:
        _empty_bounding_set()
        kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
        _set_capabilities(kept & capabilities())
        left = capabilities() & ~kept
    except OSError as error:
        return kernel.why(error)
    return f"still has capabilities {left:#x}" if left else ON


def capabilities() -> int:
    """The permitted set, as bits.

    Raises:
        OSError: the kernel does not say.
    """
    head = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    data = ctypes.create_string_buffer(24)
    kernel.syscall("capget", ctypes.addressof(head), ctypes.addressof(data))
    words = struct.unpack("=6I", data.raw)
    return int(words[1] | words[4] << 32)


def leave_root() -> str:
    """Become a user that owns nothing, when this process is the machine's root."""
    if not is_root():
        return "runs as the user that started it"
    # Changing the user clears the death signal, on which a host may rely.
    signal = ctypes.c_int(0)
    kernel.prctl(kernel.PR_GET_PDEATHSIG, ctypes.addressof(signal))
    reason = ""
    _empty_bounding_set()  # while it may
    for uid in unprivileged_users():
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        except OSError as error:
            reason = kernel.why(error)
        else:
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.value)
            return f"{ON} (user {uid})"
    return f"is root, and cannot leave it: {reason}"


def is_root() -> bool:
    """Whether this process is, or may become, the machine's root."""
    return 0 in os.getresuid()


def unprivileged_users() -> tuple[int, int]:
    """Whom this process may become: a user of its own, or `nobody` where a container does not know so high a one."""
    return _FIRST_UNUSED_UID + os.getpid(), _NOBODY


def readable_by_anyone(paths: Iterable[str]) -> bool:
    """Whether another user could still read every one of `paths` that exists."""
    return all(_open_to_others(Path(path)) for path in paths)


def _open_to_others(path: Path) -> bool:
    try:
        real = path.resolve()
        mode = real.stat().st_mode
        wanted = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(mode) else 0)
        return mode & wanted == wanted and all(
            folder.stat().st_mode & stat.S_IXOTH for folder in real.parents
        )
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _empty_bounding_set() -> None:
    """Where it may: this needs a capability itself. Who has none regains none, by no_new_privs."""
    with contextlib.suppress(PermissionError):
        for capability in range(_HIGHEST + 1):
            try:
                kernel.prctl(kernel.PR_CAPBSET_READ, capability)
            except OSError:
                return  # past the last one that this kernel knows
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)


def _set_capabilities(bits: int) -> None:
    head = ctypes.create_string_buffer(struct.pack("=Ii", _VERSION_3, 0), 8)
    low, high = bits & 0xFFFFFFFF, bits >> 32
    data = ctypes.create_string_buffer(struct.pack("=6I", low, low, 0, high, high, 0), 24)
    kernel.syscall("capset", ctypes.addressof(head), ctypes.addressof(data))
