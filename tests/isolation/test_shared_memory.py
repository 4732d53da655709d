"""Shared memory is sealed: nobody resizes it, and what is only to be read cannot be written."""

from __future__ import annotations

import mmap
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.errors import ContractError
from edgeguard.isolation import memory

SIZE = memory.PAGE


def refused(call: Callable[[], object]) -> bool:
    try:
        call()
    except (OSError, ValueError):
        return True
    return False


def resizing(descriptor: int) -> list[Callable[[], object]]:
    return [
        lambda: os.ftruncate(descriptor, 0),
        lambda: os.ftruncate(descriptor, 2 * SIZE),
        lambda: os.posix_fallocate(descriptor, 0, 2 * SIZE),
        lambda: os.pwrite(descriptor, b"x", 4 * SIZE),
    ]


def map_to_write(descriptor: int) -> mmap.mmap:
    return mmap.mmap(descriptor, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def test_what_the_host_writes_the_holder_of_the_descriptor_can_only_read() -> None:
    descriptor, room = memory.written_here("test", SIZE)
    room[:5] = b"hello"
    there = memory.to_read(os.dup(descriptor))
    assert there[:5] == b"hello"
    assert refused(lambda: map_to_write(descriptor))
    assert refused(lambda: os.pwrite(descriptor, b"x", 0))
    assert all(refused(call) for call in resizing(descriptor))
    room[:5] = b"again"  # the host's own mapping still writes
    assert there[:5] == b"again"
    os.close(descriptor)


def test_what_a_worker_writes_it_cannot_resize_and_the_host_only_reads() -> None:
    descriptor, room = memory.written_there("test", SIZE)
    there = memory.to_write(os.dup(descriptor))
    there[:5] = b"hello"
    assert room[:5] == b"hello"
    with pytest.raises(TypeError):
        room[:1] = b"x"
    assert all(refused(call) for call in resizing(descriptor))
    os.close(descriptor)


def test_models_lie_in_memory_that_nobody_can_change() -> None:
    descriptor = memory.sealed_bytes("test", b"one", b"", b"two")
    assert os.pread(descriptor, 100, 0) == b"onetwo"
    assert refused(lambda: os.pwrite(descriptor, b"x", 0))
    assert refused(lambda: mmap.mmap(descriptor, 6, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
    assert refused(lambda: os.ftruncate(descriptor, 0))
    os.close(descriptor)


@pytest.mark.parametrize("make", [memory.written_here, memory.written_there])
def test_no_further_seal_can_be_put_on(make: Callable[[str, int], tuple[int, mmap.mmap]]) -> None:
    import fcntl

    descriptor, _room = make("test", SIZE)
    with pytest.raises(PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    os.close(descriptor)


def test_a_bell_wakes_who_sleeps_on_memory_that_it_can_only_read() -> None:
    descriptor, room = memory.written_here("test", SIZE)
    there = memory.to_read(descriptor)
    woken = threading.Event()

    def sleep() -> None:
        bell = memory.Bell(there)
        while there[:4] == bytes(4):
            bell.sleep(0)
        woken.set()

    thread = threading.Thread(target=sleep)
    thread.start()
    assert not woken.wait(0.05)
    room[:4] = b"\1\0\0\0"
    memory.Bell(room).wake()
    assert woken.wait(10.0)
    thread.join()


def test_a_changed_word_is_not_slept_on() -> None:
    _, room = memory.written_here("test", SIZE)
    memory.Bell(room).sleep(7)  # the word is 0: it returns at once


def test_a_machine_without_a_known_futex_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _, room = memory.written_here("test", SIZE)
    monkeypatch.setattr(platform, "machine", lambda: "sparc")
    with pytest.raises(ContractError, match="this is `sparc`"):
        memory.Bell(room)


@pytest.mark.parametrize("make", [memory.written_here, memory.written_there])
def test_a_system_that_cannot_seal_is_refused_and_keeps_no_descriptor(
    make: Callable[[str, int], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    monkeypatch.setattr(memory, "_FIXED", 1 << 20)
    with pytest.raises(ContractError, match="cannot seal memory"):
        make("test", SIZE)
    with pytest.raises(ContractError, match="cannot seal memory"):
        memory.sealed_bytes("test", b"model")
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before

    def no_memory(*_: object) -> int:
        raise OSError(38, "not here")

    monkeypatch.setattr(os, "memfd_create", no_memory)
    with pytest.raises(ContractError, match="no sealable memory"):
        make("test", SIZE)
