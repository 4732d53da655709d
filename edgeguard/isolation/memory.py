"""Memory that two processes share: sealed, so that neither side can resize it and one of them can only read it.

A descriptor made here may be handed to a worker. Everything a worker can write is copied before it is looked at.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import platform

from edgeguard.errors import ContractError

_FUTURE_WRITE = 0x0010
"""F_SEAL_FUTURE_WRITE (Linux 5.1): who maps it from now on can only read; a mapping made before still writes."""

_FIXED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_LAST = fcntl.F_SEAL_SEAL

PAGE = mmap.PAGESIZE

_FUTEX = {"x86_64": 202, "aarch64": 98}
_WAIT, _WAKE = 0, 1


def sealed_bytes(name: str, *pieces: bytes) -> int:
    """A descriptor of memory with these bytes one after another, which nobody can change any more.

    Raises:
        ContractError: the system has no sealable memory.
    """
    descriptor = _create(name)
    try:
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        _seal(descriptor, _FIXED | fcntl.F_SEAL_WRITE | _LAST)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def written_here(name: str, size: int) -> tuple[int, mmap.mmap]:
    """(descriptor, mapping): this process writes through the mapping; whoever gets the descriptor can only read.

    Raises:
        ContractError: the system has no sealable memory.
    """
    descriptor = _create(name)
    try:
        os.ftruncate(descriptor, size)
        room = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        room.write(bytes(size))  # the first touch of a page costs microseconds: now, and not on a frame
        _seal(descriptor, _FIXED | _FUTURE_WRITE | _LAST)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, room


def written_there(name: str, size: int) -> tuple[int, mmap.mmap]:
    """(descriptor, mapping): whoever gets the descriptor may write, and never resize; this process only reads.

    Raises:
        ContractError: the system has no sealable memory.
    """
    descriptor = _create(name)
    try:
        os.ftruncate(descriptor, size)
        _seal(descriptor, _FIXED | _LAST)
        room = mmap.mmap(descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, room


def to_read(descriptor: int) -> mmap.mmap:
    """All of somebody's memory, to read. The descriptor is closed."""
    room = mmap.mmap(
        descriptor, os.fstat(descriptor).st_size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ
    )
    os.close(descriptor)
    return room


def to_write(descriptor: int) -> mmap.mmap:
    """All of somebody's memory, to read and write. The descriptor is closed."""
    room = mmap.mmap(
        descriptor,
        os.fstat(descriptor).st_size,
        mmap.MAP_SHARED | mmap.MAP_POPULATE,
        mmap.PROT_READ | mmap.PROT_WRITE,
    )
    os.close(descriptor)
    return room


class Bell:
    """The first word of shared memory as a futex: one side sleeps until the other has changed it.

    Unlike a descriptor that both hold, nothing the sleeper does to it can make the ringer wait.
    """

    def __init__(self, room: mmap.mmap) -> None:
        """`room`: shared memory; a mapping that can only be read is enough to sleep.

        Raises:
            ContractError: unknown machine.
        """
        number = _FUTEX.get(platform.machine())
        if number is None or ctypes.sizeof(ctypes.c_void_p) != 8:
            raise ContractError(
                f"workers need a 64-bit x86 or Arm machine, this is `{platform.machine()}`: "
                "let the policy run every model in the host (no `isolation.workers`)"
            )
        self._room = room  # the address below is good for as long as it lives
        self._number = ctypes.c_long(number)
        self._address = ctypes.c_void_p(_address(room))
        self._call = ctypes.CDLL(None).syscall

    def wake(self) -> None:
        """Wake whoever sleeps on the word. Never waits."""
        self._call(self._number, self._address, ctypes.c_int(_WAKE), ctypes.c_int(1), None, None, 0)

    def sleep(self, unless_not: int) -> None:
        """Sleep while the word is `unless_not`; may also return for no reason."""
        self._call(
            self._number, self._address, ctypes.c_int(_WAIT), ctypes.c_uint32(unless_not), None, None, 0
        )


def _address(room: mmap.mmap) -> int:
    """Where a mapping lies. ctypes takes only writable memory, so numpy is asked, as it does not mind."""
    import numpy as np  # noqa: PLC0415 - a worker's sandbox closes before numpy is there

    return int(np.frombuffer(room, np.uint8).ctypes.data)


def _create(name: str) -> int:
    try:
        return os.memfd_create(f"edgeguard-{name}", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError as error:
        raise ContractError(f"this system has no sealable memory ({error}): workers cannot be had") from error


def _seal(descriptor: int, seals: int) -> None:
    try:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError as error:
        raise ContractError(
            f"this system cannot seal memory ({error}): workers need Linux 5.1 or later"
        ) from error
