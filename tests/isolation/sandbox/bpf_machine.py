"""A reading of classic BPF for the tests: runs a filter over one system call as the kernel would. Strict.

It knows the instructions that the kernel lets a seccomp filter use here, and refuses every other.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

Instruction = tuple[int, int, int, int]


def run(program: Sequence[Instruction], number: int, arch: int, arguments: Sequence[int] = ()) -> int:
    """The action that the filter returns. `arguments`: up to six unsigned 64-bit values."""
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<iIQ6Q", number - (1 << 32) if number >> 31 else number, arch, 0, *padded)
    accumulator = 0
    at = 0
    while True:
        code, if_true, if_false, constant = program[at]
        at += 1
        if code == 0x20:  # ld [k]
            assert constant % 4 == 0
            accumulator = struct.unpack_from("<I", data, constant)[0]
        elif code == 0x54:  # and #k
            accumulator &= constant
        elif code == 0x15:  # jeq #k
            at += if_true if accumulator == constant else if_false
        elif code == 0x35:  # jge #k
            at += if_true if accumulator >= constant else if_false
        elif code == 0x06:  # ret #k
            return constant
        else:
            raise AssertionError(f"instruction {code:#x} is not one that a filter here uses")


def ends(program: Sequence[Instruction]) -> bool:
    """Whether every jump lands inside, forwards, and every way ends in a return: what the kernel's checker demands."""
    for at, (code, if_true, if_false, _) in enumerate(program):
        if code in (0x15, 0x35) and at + 1 + max(if_true, if_false) >= len(program):
            return False
        if not (0 <= if_true < 256 and 0 <= if_false < 256):
            return False
    return bool(program) and program[-1][0] == 0x06
