"""Puts this process into its jail, in two steps: `enter` before anything heavy is imported, `seal` after warm-up.

Neither can be taken back. Neither raises for what the kernel refuses: the host reads what was reached, and decides.
"""

from __future__ import annotations

import threading
from pathlib import Path

from edgeguard.errors import UsageError
from edgeguard.isolation.sandbox import (
    filters,
    kernel,
    landlock,
    limits,
    namespaces,
    paths,
    privileges,
    seccomp,
    views,
)
from edgeguard.isolation.sandbox.levels import LATER, NOT_ASKED, ON, Jail, Level, Reached, is_on, reached

_layers: dict[str, str] = {}
"""What `enter` came to, for `seal`: a process enters one jail, once."""


def enter(jail: Jail) -> Reached:
    """Close descriptors, give up privileges, leave namespaces, close the file system, set the first filter.

    Call it first thing, with one thread. `seal` decides the level; until then it is at most `PROCESS`.

    Raises:
        UsageError: this process is in a jail already, or has threads, on some of which layers would not hold.
    """
    if _layers:
        raise UsageError("this process is in a jail already: `enter` is called once")
    threads = _threads()
    if threads != 1:
        raise UsageError(f"this process has {threads} threads: it enters its jail before anything starts one")
    if jail.level is Level.OFF:
        _layers["descriptors"] = NOT_ASKED
        return reached(_layers)
    readable = jail.readable or paths.loader_paths(gpu=jail.gpu)
    _layers["descriptors"] = limits.close_others(jail.keep)
    _layers["affinity"] = limits.affinity(jail.cpus)
    _layers["limits"] = limits.at_start(jail.memory, gpu=jail.gpu)
    _layers["no_new_privs"] = privileges.no_new_privs()
    _layers["scheduling"] = limits.prepare_fifo(jail.fifo)
    later = 0
    if jail.level >= Level.STRICT:
        _layers.update(_separate())
        _layers["mounts"] = _narrow(jail, readable)
        later = _leave_root(readable)
    _layers["capabilities"] = privileges.drop_capabilities(later)
    _layers["undumpable"] = privileges.undumpable()
    if jail.level >= Level.STRICT:
        _layers.update(_files(jail, readable))
    if jail.level >= Level.FILTERED:
        users = privileges.unprivileged_users() if later else ()
        _layers["seccomp_load"] = seccomp.install(filters.loading(gpu=jail.gpu, users=users))
    return reached(_layers)


def seal(jail: Jail) -> Reached:
    """Close what loading still needed, on every thread: from here on only the steady state is left.

    Raises:
        UsageError: `enter` was not called before.
    """
    if not _layers:
        raise UsageError("this process is in no jail: `enter` comes before `seal`")
    if jail.level is Level.OFF:
        return reached(_layers)
    if jail.fifo is not None:
        _layers["scheduling"] = limits.fifo(jail.fifo, _layers["scheduling"])
    if _layers.get("user") == LATER:
        _layers["user"] = privileges.leave_root()
        _layers["undumpable"] = privileges.undumpable()  # becoming another user sets it again
    _layers["capabilities"] = privileges.drop_capabilities()
    sealed = limits.at_seal(jail.keep)
    if is_on(_layers["limits"]):
        _layers["limits"] = sealed
    if jail.level >= Level.FILTERED:
        _layers["seccomp"] = seccomp.install(filters.steady(gpu=jail.gpu))
    return reached(_layers)


def _threads() -> int:
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return threading.active_count()


def _leave_root(readable: tuple[str, ...]) -> int:
    """Stop being root now, or give the capabilities to do so later: where nobody else may read the interpreter."""
    if "user" in _layers:
        return 0
    if not privileges.is_root() or privileges.readable_by_anyone(readable):
        _layers["user"] = privileges.leave_root()
        return 0
    _layers["user"] = LATER
    return privileges.CHANGE_USER


def _narrow(jail: Jail, readable: tuple[str, ...]) -> str:
    tool = namespaces.wrapped_by()
    if tool:
        return f"{ON} ({tool})"  # nothing else is mounted in its view
    state = _layers["namespaces"]
    return views.narrow(readable, paths.device_paths(gpu=jail.gpu)) if is_on(state) else state


def _files(jail: Jail, readable: tuple[str, ...]) -> dict[str, str]:
    """Two fences, either of which keeps the host's files from it."""
    found = landlock.restrict(readable, paths.device_paths(gpu=jail.gpu))
    fences = {"Landlock": found["landlock"], "own mounts": _layers["mounts"]}
    on = [name for name, state in fences.items() if is_on(state)]
    off = [f"{name}: {state}" for name, state in fences.items()]
    return found | {"files": f"{ON} ({', '.join(on)})" if on else "; ".join(off)}


def _separate() -> dict[str, str]:
    try:
        return namespaces.separate()
    except OSError as error:
        return {"namespaces": kernel.why(error)}
