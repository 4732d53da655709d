"""What the host itself can see of a worker's sandbox: a worker's own report counts only as far as this bears it out.

Layers that it entered before it loaded a model are taken from what it said then: later it may be somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeguard.isolation.sandbox.levels import LAYERS, NOT_ASKED, Level, Reached, is_on, reached

LEAST: Mapping[str, Level] = {
    "off": Level.OFF,
    "preferred": Level.OFF,
    "required": Level.FILTERED,
    "strict": Level.STRICT,
}
"""The lowest level that a worker may start at, by the policy's word."""

_LATE = frozenset({"seccomp", "limits", "capabilities", "undumpable", "user", "affinity", "scheduling"})
"""Layers that change when the worker is sealed."""

_FILTERS = 2
"""System call filters that a filtered worker has of its own: one to load under, one to answer under."""

_NO_CAPABILITIES = "0" * 16
"""As the kernel writes a set of capabilities that is empty."""

LONGEST_TEXT = 4_000


def tried(sandbox: str) -> Level:
    """The level to try for, by the policy's word."""
    return Level.OFF if sandbox == "off" else Level.STRICT


def parse(line: bytes) -> dict[str, Any]:
    """A line of a worker's report as an object; empty when it is not one."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def layers(told: object) -> dict[str, str]:
    """Known layers out of a report; what is not said is not on."""
    said = told.get("layers") if isinstance(told, dict) else None
    if not isinstance(said, dict):
        return {}
    return {name: plain(said[name]) for name in LAYERS if isinstance(said.get(name), str)}


def judged(entered: Mapping[str, str], sealed: Mapping[str, str], pid: int) -> Reached:
    """What a worker reached, by what it said at the right time and by what the kernel says of it now."""
    found = {name: (sealed if name in _LATE else entered).get(name, "not reported") for name in LAYERS}
    for name, refuted in _refuted(pid).items():
        if is_on(found[name]):
            found[name] = refuted
    return reached(found)


def innermost(pid: int) -> int:
    """The process at the end of a line of tools that started one another; `pid` itself where there is none."""
    while True:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            return pid
        if not children:
            return pid
        pid = int(children[0])


def shortfall(got: Reached, sandbox: str, before: Level = Level.OFF) -> str:
    """Why a worker may not start at the level it reached; empty: it may. `before`: what it had when it ran before."""
    least = LEAST[sandbox]
    if got.level >= max(least, before):
        return ""
    below = "; ".join(
        f"`{n}`: {state}" for n, state in got.layers.items() if state != NOT_ASKED and not is_on(state)
    )
    came = f"reached the sandbox level `{got.level.name.lower()}`"
    if got.level >= least:
        return f"{came}, less than it had when it was started first (`{before.name.lower()}`); missing now: {below}"
    return (
        f"{came}, but the policy asks for `{least.name.lower()}` "
        f"(`sandbox: {sandbox}`); missing here: {below}"
    )


def plain(text: str) -> str:
    """A worker's words as one bounded line of printable characters."""
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])


def _refuted(pid: int) -> dict[str, str]:
    """Layers that the kernel says are not there, on any thread of the process."""
    unseen = "the host cannot see it in /proc"
    every = ("no_new_privs", "capabilities", "seccomp_load", "seccomp")
    try:
        own = _status(Path("/proc/self"))
        threads = [_status(task) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return dict.fromkeys(every, unseen)
    wanted = int(own.get("Seccomp_filters", "0")) + _FILTERS
    refuted = {} if threads else dict.fromkeys(every, unseen)
    for status in threads:
        if status.get("NoNewPrivs") != "1":
            refuted["no_new_privs"] = "the kernel says it is not set"
        if not status.get("CapEff") == status.get("CapPrm") == _NO_CAPABILITIES:
            refuted["capabilities"] = "the kernel says it still has some"
        if "0" in status.get("Uid", "0").split():
            refuted["user"] = "the kernel says it is still root"
        filters = int(status.get("Seccomp_filters", wanted))  # before Linux 5.9 their number is not told
        if status.get("Seccomp") != "2" or filters < wanted:
            refuted["seccomp"] = "the kernel says the filter is not there"
    return refuted


def _status(process: Path) -> dict[str, str]:
    # A process names itself, in any bytes: they may neither fail to decode nor look like another line.
    lines = (process / "status").read_bytes().decode(errors="replace").split("\n")
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
