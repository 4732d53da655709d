"""Installs a system call filter in this process, on every thread it has. What is allowed is `filters`' to say."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.bpf import Rule, assemble, encode
from edgeguard.isolation.sandbox.levels import ON

SET_MODE_FILTER = 1
TSYNC = 1
_GET_ACTION_AVAILABLE = 2


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(rules: Sequence[Rule]) -> str:
    """Install it on all threads at once; `on`, or why not. It can never be taken off or loosened again."""
    absent = kernel.missing("seccomp")
    if absent:
        return absent
    try:
        instructions = assemble(rules, kernel.machine())
        room = ctypes.create_string_buffer(encode(instructions))
        program = _Program(len(instructions), ctypes.addressof(room))
        other = kernel.syscall("seccomp", SET_MODE_FILTER, TSYNC, ctypes.addressof(program))
    except OSError as error:
        return kernel.why(error)
    return f"thread {other} could not take the filter" if other else ON


def offered(action: int) -> bool:
    """Whether this kernel knows a filter's `action`."""
    wanted = ctypes.c_uint32(action & 0xFFFF0000)
    try:
        kernel.syscall("seccomp", _GET_ACTION_AVAILABLE, 0, ctypes.addressof(wanted))
    except OSError:
        return False
    return True
