"""Landlock: what files this process may still open, and with whom it may talk. Rules come from the caller.

Takes every right that the kernel's version of it knows; what an older one lacks is reported, never silently dropped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import ON

_VERSION = 1
_RULE_PATH_BENEATH = 1

READ_FILE = 1 << 2
READ_DIR = 1 << 3
WRITE_FILE = 1 << 1
IOCTL_DEV = 1 << 15
_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many of the file system's rights each version knows; each is one bit, from the lowest up."""

_LAYERS = ("landlock", "network", "signals")

_FIRST_WITH_NETWORK = 4
_FIRST_WITH_IOCTL = 5
_FIRST_WITH_SCOPES = 6
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_UNIX_AND_SIGNAL = 0b11


def abi() -> int:
    """The version that this kernel offers; 0: none.

    Raises:
        OSError: none, and why.
    """
    absent = kernel.missing("landlock")
    if absent:
        raise OSError(0, absent)
    return kernel.syscall("landlock_create_ruleset", 0, 0, _VERSION)


def handled(version: int) -> tuple[int, int, int]:
    """(file system, network, scopes): every right that `version` can take away, as bit sets."""
    files = (1 << _RIGHTS_OF_ABI[min(version, _FIRST_WITH_IOCTL)]) - 1
    network = _BIND_AND_CONNECT_TCP if version >= _FIRST_WITH_NETWORK else 0
    scopes = _ABSTRACT_UNIX_AND_SIGNAL if version >= _FIRST_WITH_SCOPES else 0
    return files, network, scopes


def restrict(readable: Iterable[str], devices: Iterable[str]) -> dict[str, str]:
    """Take everything away but reading beneath `readable` and using `devices`: the states of three layers.

    A path that does not exist is passed over: what is not there cannot be read.
    """
    try:
        version = abi()
        files, network, scopes = handled(version)
        ruleset = _ruleset(version)
    except OSError as error:
        return dict.fromkeys(_LAYERS, kernel.why(error))
    try:
        for path in readable:
            _permit(ruleset, path, READ_FILE | READ_DIR)
        for path in devices:
            _permit(ruleset, path, (READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV) & files)
        kernel.syscall("landlock_restrict_self", ruleset, 0)
    except OSError as error:
        return dict.fromkeys(_LAYERS, kernel.why(error))
    finally:
        os.close(ruleset)
    old = f"this kernel's Landlock is version {version}, which cannot"
    return {"landlock": ON, "network": ON if network else old, "signals": ON if scopes else old}


def _ruleset(version: int) -> int:
    files, network, scopes = handled(version)
    words = [files]
    if version >= _FIRST_WITH_NETWORK:
        words.append(network)
    if version >= _FIRST_WITH_SCOPES:
        words.append(scopes)
    room = ctypes.create_string_buffer(struct.pack(f"={len(words)}Q", *words), 8 * len(words))
    return kernel.syscall("landlock_create_ruleset", ctypes.addressof(room), 8 * len(words), 0)


def _permit(ruleset: int, path: str, rights: int) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                rights &= ~READ_DIR
            room = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor), 12)
            kernel.syscall("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.addressof(room), 0)
        finally:
            os.close(descriptor)
