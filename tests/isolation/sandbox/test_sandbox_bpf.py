"""The filters' programs say what the tables say, on both architectures; no hardware of either is needed."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeguard.isolation.sandbox import filters
from edgeguard.isolation.sandbox.bpf import ALLOW, ENOSYS, EPERM, KILL, Check, Rule, assemble, encode
from edgeguard.isolation.sandbox.syscalls import AARCH64, AUDIT_ARCH, X86_64, names, number
from tests.isolation.sandbox.bpf_machine import ends, run

MACHINES = (X86_64, AARCH64)
TABLES = {
    "loading": filters.loading(gpu=False),
    "loading, leaves root": filters.loading(gpu=False, users=(4711, 65534)),
    "loading, gpu": filters.loading(gpu=True),
    "steady": filters.steady(gpu=False),
    "steady, gpu": filters.steady(gpu=True),
}
PROGRAMS = {
    (table, machine): assemble(rules, machine) for table, rules in TABLES.items() for machine in MACHINES
}
WORD = st.integers(0, 2**64 - 1) | st.integers(0, 63) | st.sampled_from([2**31, 2**32, 2**32 + 4, 2**64 - 1])
ARGUMENTS = st.lists(WORD, min_size=6, max_size=6)


def verdict(rules: Sequence[Rule], name: str, arguments: Sequence[int], otherwise: int = EPERM) -> int:
    """What the table means, read without any assembler."""
    for rule in rules:
        if rule.name == name and all(arguments[c.argument] & c.mask == c.equals for c in rule.checks):
            return rule.action
    return otherwise


def ask(table: str, machine: str, name: str, *arguments: int) -> int:
    called = number(name, machine)
    assert called is not None
    return run(PROGRAMS[table, machine], called, AUDIT_ARCH[machine], arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
@given(name=st.sampled_from(names()), arguments=ARGUMENTS)
def test_a_program_decides_as_its_table_does(
    table: str, machine: str, name: str, arguments: list[int]
) -> None:
    called = number(name, machine)
    if called is not None:
        got = run(PROGRAMS[table, machine], called, AUDIT_ARCH[machine], arguments)
        assert got == verdict(TABLES[table], name, arguments)


CHECKS = st.builds(
    lambda argument, mask, value: Check(argument, mask, value & mask), st.integers(0, 5), WORD, WORD
).filter(lambda check: check.mask != 0)
RULES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["read", "mmap", "clone", "open"]),
        st.sampled_from([ALLOW, KILL, EPERM, ENOSYS]),
        st.lists(CHECKS, max_size=3).map(tuple),
    ),
    max_size=8,
)


@given(RULES, st.sampled_from(["read", "mmap", "clone", "open"]), ARGUMENTS, st.sampled_from(MACHINES))
@example([Rule("mmap", checks=(Check(0, 2**64 - 1, 2**32),))], "mmap", [0] * 6, X86_64)
def test_any_table_is_assembled_to_what_it_says(
    rules: list[Rule], name: str, arguments: list[int], machine: str
) -> None:
    program = assemble(rules, machine)
    called = number(name, machine)
    assert ends(program)
    if called is not None:
        assert run(program, called, AUDIT_ARCH[machine], arguments) == verdict(rules, name, arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
def test_a_program_is_one_that_the_kernel_takes(table: str, machine: str) -> None:
    program = PROGRAMS[table, machine]
    assert ends(program)
    assert len(program) <= 4096
    assert len(encode(program)) == 8 * len(program)


@pytest.mark.parametrize("table", TABLES)
@given(arch=st.integers(0, 2**32 - 1), called=st.integers(0, 2**32 - 1))
@example(arch=0x40000003, called=20)  # i386 on an x86_64 kernel
@example(arch=0x40000028, called=20)  # 32-bit Arm on an aarch64 kernel
def test_a_foreign_architecture_ends_the_process(table: str, arch: int, called: int) -> None:
    for machine in MACHINES:
        if arch != AUDIT_ARCH[machine]:
            assert run(PROGRAMS[table, machine], called, arch) == KILL


@pytest.mark.parametrize("table", TABLES)
@given(called=st.integers(0x40000000, 2**32 - 1))
def test_the_x32_interface_ends_the_process(table: str, called: int) -> None:
    assert run(PROGRAMS[table, X86_64], called, AUDIT_ARCH[X86_64]) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@given(called=st.integers(0, 0x3FFFFFFF), arguments=ARGUMENTS)
def test_a_call_that_no_table_knows_is_refused(machine: str, called: int, arguments: list[int]) -> None:
    known = {number(name, machine) for name in names()}
    if called not in known:
        for table in TABLES:
            assert run(PROGRAMS[table, machine], called, AUDIT_ARCH[machine], arguments) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
@given(prot=WORD, flags=WORD)
def test_no_memory_is_ever_written_and_run(table: str, machine: str, prot: int, flags: int) -> None:
    if prot & 4:
        assert ask(table, machine, "mprotect", 0, 4096, prot) == EPERM
        assert ask(table, machine, "pkey_mprotect", 0, 4096, prot) == EPERM
        mapped = ask(table, machine, "mmap", 0, 4096, prot, flags)
        library = table.startswith("loading") and not prot & 2 and not flags & (0x20 | 0x100 | 0x40000)
        assert mapped == (ALLOW if library else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
@given(flags=WORD)
@example(flags=0x21)  # shared, of no file
@example(flags=0x122)  # private, growing down
@example(flags=0x22)
@example(flags=0x01)
def test_no_memory_escapes_its_limit(table: str, machine: str, flags: int) -> None:
    """RLIMIT_DATA counts what is private and does not grow like a stack."""
    counted = flags & 0xF == 2 and not flags & 0x40100
    of_a_file = not flags & 0x40120
    assert ask(table, machine, "mmap", 0, 4096, 3, flags) == (ALLOW if counted or of_a_file else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@given(flags=WORD)
def test_nothing_is_opened_for_writing(machine: str, flags: int) -> None:
    writes = flags & (0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000)
    assert ask("loading", machine, "openat", 0, 0, flags) == (EPERM if writes else ALLOW)
    assert ask("steady", machine, "openat", 0, 0, flags) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@given(flags=WORD)
def test_only_a_gpu_driver_may_start_threads_and_nothing_may_start_processes(
    machine: str, flags: int
) -> None:
    thread = 0x00010000 | 0x00000100 | 0x00000800
    new = 0x7E020080
    for table in TABLES:
        allowed = table == "loading, gpu" and flags & thread == thread and not flags & new
        assert ask(table, machine, "clone", flags) == (ALLOW if allowed else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
def test_clone3_seems_not_to_exist(table: str, machine: str) -> None:
    assert ask(table, machine, "clone3") == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("arguments", [(0,) * 6, (2**64 - 1,) * 6, (1, 2, 3, 4, 5, 6)])
def test_what_is_hostile_ends_the_process_whatever_its_arguments(
    table: str, machine: str, arguments: tuple[int, ...]
) -> None:
    for name in filters.HOSTILE:
        if number(name, machine) is not None:
            assert ask(table, machine, name, *arguments) == KILL


@pytest.mark.parametrize("machine", MACHINES)
@given(user=st.integers(0, 2**32 - 1))
def test_it_becomes_no_user_but_the_one_it_was_told(machine: str, user: int) -> None:
    told = ALLOW if user in (4711, 65534) else EPERM
    assert ask("loading, leaves root", machine, "setresuid", user, user, user) == told
    assert ask("loading, leaves root", machine, "setresuid", user, user, 0) == EPERM
    assert ask("loading", machine, "setresuid", user, user, user) == EPERM
    assert ask("steady", machine, "setresuid", user, user, user) == EPERM


def test_a_table_that_is_too_long_is_refused_and_not_cut() -> None:
    rules = [Rule("read", checks=(Check(0, 1, 0),) * 6)] * 400
    with pytest.raises(ValueError, match="4096"):
        assemble(rules, X86_64)


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        (X86_64, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        (AARCH64, "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_the_numbers_are_the_kernels(machine: str, header: str) -> None:
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    found = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    found |= {"newfstatat": found.get("fstatat", found.get("newfstatat"))}
    if len(found) < 200:
        pytest.skip(f"{header} is not this architecture's")
    wrong = {
        name: number(name, machine)
        for name in names()
        if str(number(name, machine)) != found.get(name, "None")
    }
    assert {name: called for name, called in wrong.items() if name in found or called is None} == {}


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("table", TABLES)
def test_this_kernel_takes_the_program_and_ends_what_is_of_another_architecture(
    table: str, machine: str, confined: Callable[..., dict[str, Any]]
) -> None:
    """The kernel checks a program whatever architecture it is for, then asks it about this one."""
    told = confined(
        f"""
import platform
from edgeguard.isolation.sandbox import filters, kernel, privileges, seccomp
gpu, users = {("gpu" in table)!r}, {((4711, 65534) if "root" in table else ())!r}
rules = filters.steady(gpu=gpu) if {table.startswith("steady")!r} else filters.loading(gpu=gpu, users=users)
tell(foreign=kernel.machine() != {machine!r})
privileges.no_new_privs()
real, kernel.machine = kernel.machine(), lambda: {machine!r}
seccomp.kernel.syscall.__globals__["number"] = lambda name, _, number=kernel.number: number(name, real)
tell(state=seccomp.install(rules))
"""
    )
    if told["foreign"]:
        assert (told["ended"], "state" in told) == (-signal.SIGSYS, False)
    else:
        assert (told["ended"], told["state"]) == (0, "on")
