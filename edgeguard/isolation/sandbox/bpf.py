"""Assembles a seccomp filter from a table of rules, for one architecture. Pure: installing it is `seccomp`'s.

The architecture is checked first; whatever no rule allows is refused. A program is a list of 8-byte instructions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgeguard.isolation.sandbox.syscalls import AUDIT_ARCH, X86_64, number

ALLOW = 0x7FFF0000
KILL = 0x80000000
"""SECCOMP_RET_KILL_PROCESS: every thread ends, by SIGSYS."""
EPERM = 0x00050000 | 1
ENOSYS = 0x00050000 | 38

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS: the accumulator takes a word of seccomp_data
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_ABOVE_OR_EQUAL = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_AT_NUMBER = 0
_AT_ARCH = 4
_AT_ARGUMENTS = 16
_X32_BIT = 0x40000000
_WORD = 0xFFFFFFFF
LONGEST = 4096
"""BPF_MAXINSNS: most instructions that the kernel takes."""

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, constant); jumps are counted from the next instruction."""


@dataclass(frozen=True, slots=True)
class Check:
    """A demand on one argument: `argument & mask == equals`. `argument`: 0..5; the others are unsigned 64-bit."""

    argument: int
    mask: int
    equals: int


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens to one system call when every check holds; several rules of a name are tried in their order."""

    name: str
    action: int = ALLOW
    checks: tuple[Check, ...] = ()


def assemble(rules: Sequence[Rule], machine: str, otherwise: int = EPERM) -> tuple[Instruction, ...]:
    """The filter for `machine`. A name that the architecture does not have is left out: it cannot be called there.

    Raises:
        ValueError: the table makes a program longer than the kernel takes.
    """
    program: list[Instruction] = [
        (_LOAD, 0, 0, _AT_ARCH),
        (_IF_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, KILL),
        (_LOAD, 0, 0, _AT_NUMBER),
    ]
    if machine == X86_64:
        # The x32 interface reports the same architecture, with this bit in the number.
        program += [(_IF_ABOVE_OR_EQUAL, 0, 1, _X32_BIT), (_RETURN, 0, 0, KILL)]
    for name in dict.fromkeys(rule.name for rule in rules):
        called = number(name, machine)
        if called is not None:
            block = _block([rule for rule in rules if rule.name == name], otherwise)
            program += [(_IF_EQUAL, 0, len(block), called), *block]
    program.append((_RETURN, 0, 0, otherwise))
    if len(program) > LONGEST:
        raise ValueError(f"a filter of {len(program)} instructions: the kernel takes {LONGEST}")
    return tuple(program)


def encode(program: Iterable[Instruction]) -> bytes:
    """As the kernel reads it: `struct sock_filter[]`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _block(rules: Sequence[Rule], otherwise: int) -> list[Instruction]:
    """The rules of one system call; always returns, so nothing after it ever sees another accumulator."""
    block: list[Instruction] = []
    for rule in rules:
        block += _alternative(rule)
        if not rule.checks:
            return block
    return [*block, (_RETURN, 0, 0, otherwise)]


def _alternative(rule: Rule) -> list[Instruction]:
    """One rule: falls through to what follows it when a check does not hold."""
    tests = [test for check in rule.checks for test in _words(check)]
    block: list[Instruction] = []
    for index, (offset, mask, equals) in enumerate(tests):
        # Left of this rule after the jump: three instructions for every further test, and the return.
        left = 3 * (len(tests) - index - 1) + 1
        block += [(_LOAD, 0, 0, offset), (_AND, 0, 0, mask), (_IF_EQUAL, 0, left, equals)]
    return [*block, (_RETURN, 0, 0, rule.action)]


def _words(check: Check) -> list[tuple[int, int, int]]:
    """(offset, mask, equals) of the 32-bit words that matter; both architectures are little-endian."""
    at = _AT_ARGUMENTS + 8 * check.argument
    halves = [
        (at, check.mask & _WORD, check.equals & _WORD),
        (at + 4, check.mask >> 32, check.equals >> 32),
    ]
    return [half for half in halves if half[1]]
