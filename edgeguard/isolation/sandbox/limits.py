"""Hard limits of a worker: descriptors, memory, threads, files, CPUs, scheduling. Only ever lowers them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterable
from pathlib import Path

from edgeguard.isolation.sandbox import kernel
from edgeguard.isolation.sandbox.levels import LATER, NOT_ASKED, ON, is_on

_RTTIME = 15
"""RLIMIT_RTTIME, which the standard library does not name: µs of CPU without ever waiting, under SCHED_FIFO."""

_LONGEST_BURST = 2_000_000
_LONGEST_LOAD = 60_000_000
"""µs: a real-time worker that never waits for so long is ended by the kernel, or it would starve its host's CPU."""

_LIBRARIES = 8 << 30
"""Bytes of address space beside a worker's own memory; more would only cost the kernel page tables."""


def close_others(keep: Iterable[int]) -> str:
    """Close every descriptor but `keep`; 0, 1 and 2 lead to nowhere unless kept, so that nothing else takes them."""
    kept = set(keep)
    try:
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for standard in {0, 1, 2} - kept:
            os.dup2(nowhere, standard)
        for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
            if descriptor > 2 and descriptor not in kept:
                with contextlib.suppress(OSError):  # the listing's own, closed already
                    os.close(descriptor)
    except OSError as error:
        return kernel.why(error)
    return ON


def at_start(memory: int | None, *, gpu: bool) -> str:
    """No core dumps, no file may grow, no message queues, and at most `memory` bytes of private writable memory."""
    wanted = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if memory is not None:
        wanted[resource.RLIMIT_DATA] = memory
        if not gpu:  # whose driver reserves addresses by the terabyte
            wanted[resource.RLIMIT_AS] = memory + _LIBRARIES
    return _lower(wanted)


def at_seal(keep: Iterable[int]) -> str:
    """No new thread, process or descriptor; all that it keeps can still be polled at once."""
    polled = len({descriptor for descriptor in keep if descriptor > 2})
    return _lower({resource.RLIMIT_NPROC: 0, resource.RLIMIT_NOFILE: max(_first_free(), polled)})


def affinity(cpus: tuple[int, ...]) -> str:
    """Run on `cpus` only."""
    if not cpus:
        return NOT_ASKED
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError) as error:
        return f"cpus {', '.join(map(str, cpus))}: {error.strerror if isinstance(error, OSError) else error}"
    missed = set(cpus) - os.sched_getaffinity(0)
    return f"no cpu {', '.join(map(str, sorted(missed)))} here" if missed else ON


def prepare_fifo(priority: int | None) -> str:
    """Keep the right to real-time `priority`, and to no higher one, until `fifo`: `LATER`, or why not.

    Where that right comes from a capability, which is given up before loading, the priority is taken at once: `on`.
    """
    if priority is None:
        _lower({resource.RLIMIT_RTPRIO: 0})  # the host's own right, of which a service hands on the limit
        return NOT_ASKED
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_RTPRIO, (priority, priority))
        return LATER
    return _become_fifo(priority, _LONGEST_LOAD)


def fifo(priority: int, state: str) -> str:
    """Take real-time `priority` and give the right to it back. `state`: what `prepare_fifo` said."""
    if state == LATER:
        return _become_fifo(priority, _LONGEST_BURST)
    if is_on(state):
        resource.setrlimit(_RTTIME, (_LONGEST_BURST, _LONGEST_BURST))
    return state


def _become_fifo(priority: int, longest: int) -> str:
    try:
        # The limit first: a real-time process that never waits would hold its CPU for good.
        resource.setrlimit(_RTTIME, (longest, longest))
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
        resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
    except PermissionError:
        return f"real-time priority {priority} is not permitted to this user"
    except (OSError, ValueError) as error:
        return kernel.why(error) if isinstance(error, OSError) else str(error)
    return ON


def _lower(wanted: dict[int, int]) -> str:
    """Set each limit, soft and hard, to at most its value."""
    try:
        for limit, value in wanted.items():
            hard = resource.getrlimit(limit)[1]
            most = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (most, most))
    except (OSError, ValueError) as error:
        return kernel.why(error) if isinstance(error, OSError) else str(error)
    return ON


def _first_free() -> int:
    """The lowest descriptor that is not open: below it, none can be opened."""
    descriptor = 0
    while True:
        try:
            os.fstat(descriptor)
        except OSError as error:
            if error.errno == errno.EBADF:
                return descriptor
            raise
        descriptor += 1
