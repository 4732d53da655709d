"""Real-time hygiene for the thread that runs the control loop: priority, CPUs, locked memory, a silent collector.

Called once, when models are loaded and warm. What the system refuses is reported; only a policy that says `required`
turns that into a refusal. It changes the process it is called in, and nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from collections.abc import Callable, Mapping
from pathlib import Path

from edgeguard.errors import UsageError
from edgeguard.program import Realtime

HAD = "on"
"""What a report says of something that was had; anything else says why not."""
HEAP = 32 << 20
"""Bytes of the heap that are touched once, and requests up to this size come from there (the most glibc allows)."""
_STACK_DEPTH = 200
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MCL_CURRENT, _MCL_FUTURE = 1, 2
_GRANT: Mapping[str, str] = {
    "fifo": "grant CAP_SYS_NICE or raise RLIMIT_RTPRIO (LimitRTPRIO= of the unit)",
    "cpus": "name CPUs that this machine has and that the service may use",
    "memory": "grant CAP_IPC_LOCK or raise RLIMIT_MEMLOCK to unlimited (LimitMEMLOCK= of the unit)",
    "heap": "run with glibc",
    "gc": "run with CPython",
}


def apply(wanted: Realtime) -> Mapping[str, str]:
    """Get what the policy wants for the calling thread and its process: call it from the thread that steps the guard.

    Returns for each thing that was asked for `on`, or why it could not be had and how to grant it: `fifo`, `cpus`,
    `memory`, `heap`, `gc`.

    Raises:
        UsageError: something could not be had and the policy says `required`; the message says how to grant it.

    """
    steps: list[tuple[str, Callable[[], str]]] = []
    if wanted.cpus:
        steps.append(("cpus", lambda: _pin(wanted.cpus)))
    if wanted.lock_memory:
        steps += [("heap", _keep_heap), ("memory", _lock)]
    if wanted.freeze_gc:
        steps.append(("gc", _freeze))
    if wanted.fifo is not None:  # last: the steps before are long, and nobody could interrupt them
        priority = wanted.fifo
        steps.append(("fifo", lambda: _fifo(priority)))
    found = ((name, step()) for name, step in steps)
    report = {name: state if state == HAD else f"{state}: {_GRANT[name]}" for name, state in found}
    missing = "; ".join(f"{name}: {state}" for name, state in report.items() if state != HAD)
    if missing and wanted.required:
        message = f"the policy requires real-time options that cannot be had: {missing}; or drop `required`"
        raise UsageError(message)
    return report


def collect_when_idle() -> None:
    """Free what a silenced collector has left, when there is time: what was frozen is not looked at, so it is quick."""
    if not gc.isenabled():
        gc.collect()


def _pin(cpus: tuple[int, ...]) -> str:
    try:
        os.sched_setaffinity(0, cpus)
    except (OSError, ValueError, OverflowError) as error:
        have = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        return f"not on {', '.join(map(str, cpus))}: {_reason(error)}; CPUs of this process: {have}"
    given = os.sched_getaffinity(0)
    return HAD if given == set(cpus) else f"only {', '.join(map(str, sorted(given)))}"


def _fifo(priority: int) -> str:
    """Children, and threads that are started later, begin without it: a restarted worker must not outrank the loop."""
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except (OSError, ValueError, OverflowError) as error:
        return f"no priority {priority}: {_reason(error)}"
    return HAD


def _freeze() -> str:
    gc.collect()
    gc.freeze()
    gc.disable()
    return HAD


def _keep_heap() -> str:
    """Let the allocator keep what it has, and touch it once: no frame waits for the system to hand out a page."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return "this C library has no `mallopt`"
    wanted = ((_M_MMAP_THRESHOLD, HEAP), (_M_TRIM_THRESHOLD, (1 << 31) - 1), (_M_TOP_PAD, HEAP))
    if not all(mallopt(ctypes.c_int(option), ctypes.c_int(value)) for option, value in wanted):
        return "the C library refuses its options"
    touched = bytearray(HEAP - 4096)  # zeroed, so every page of it is written
    del touched
    _touch_stack(_STACK_DEPTH)
    return HAD


def _touch_stack(depth: int) -> int:
    """Go down the C stack once: `max` calls back through C at each level."""
    return depth and max((depth - 1,), key=_touch_stack)


def _lock() -> str:
    """Lock all memory, now and later. Not where a limit would make a later allocation fail instead."""
    if not _unlimited():
        return "the limit of locked memory would make later allocations fail"
    needed, free = _mapped(), _available()
    if needed > free:
        return f"it would need {needed >> 20} MiB, and {free >> 20} MiB are free"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
        return os.strerror(ctypes.get_errno()).lower()
    return HAD


def _unlimited() -> bool:
    """Whether the process may lock as much as it likes; raises its own limit as far as it may."""
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    except (OSError, ValueError):
        return False
    return hard == resource.RLIM_INFINITY or _has_ipc_lock()


def _has_ipc_lock() -> bool:
    effective = _field(Path("/proc/self/status"), "CapEff:", 16)
    return bool(effective >> 14 & 1)


def _mapped() -> int:
    """Bytes that locking would have to find: what is mapped and may be touched, less what is there already."""
    size = 0
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        place, rights = line.split(maxsplit=2)[:2]
        if not rights.startswith("---"):
            low, high = place.split("-")
            size += int(high, 16) - int(low, 16)
    return max(0, size - 1024 * _field(Path("/proc/self/status"), "VmRSS:", 10))


def _available() -> int:
    return 1024 * _field(Path("/proc/meminfo"), "MemAvailable:", 10)


def _field(path: Path, key: str, base: int) -> int:
    """A number of one of the kernel's tables; 0 where it is not."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(key):
            return int(line.split()[1], base)
    return 0


def _reason(error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words.lower()
