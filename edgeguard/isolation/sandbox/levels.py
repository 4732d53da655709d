"""What a worker is confined to, and how far that came. Plain data: nothing here touches the process.

A level counts as reached only when every layer it needs is `on`; a layer that is not says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

ON = "on"
NOT_ASKED = "not asked for"
LATER = "when sealed"


class Level(IntEnum):
    """How closed a worker is; each level includes the ones below."""

    OFF = 0
    """Nothing was done."""
    PROCESS = 1
    """Only the descriptors it was given, no privileges to gain or use, hard limits, no core dumps, not traceable."""
    FILTERED = 2
    """And a system call filter on every thread that leaves the steady state only."""
    STRICT = 3
    """And no file system, no network, no System V IPC of the host's, and not the host's root."""


NEEDS: Mapping[Level, tuple[str, ...]] = MappingProxyType(
    {
        Level.OFF: (),
        Level.PROCESS: ("descriptors", "no_new_privs", "limits", "capabilities", "undumpable"),
        Level.FILTERED: ("seccomp_load", "seccomp"),
        Level.STRICT: ("files", "namespaces", "user"),
    }
)
"""The layers that each level adds to the one below."""

EXTRAS = ("landlock", "mounts", "network", "signals", "affinity", "scheduling")
"""Layers that are reported and belong to no level: what makes `files`, second fences, and real-time wishes."""

LAYERS: tuple[str, ...] = tuple(layer for level in Level for layer in NEEDS[level]) + EXTRAS


@dataclass(frozen=True, slots=True)
class Jail:
    """What one worker is to be confined to.

    `level`: the highest to try for; what cannot be had is reported, the caller decides whether that is enough.
    `memory`: most private writable memory, bytes. `cpus`: the only ones it runs on; empty: all. `fifo`: real-time
    priority, 1..99. `gpu`: it drives one, which needs device files and ioctl. `keep`: the descriptors it keeps.
    `readable`: folders and files that may be read until `seal`; see `paths.loader_paths`.
    """

    level: Level = Level.STRICT
    memory: int | None = None
    cpus: tuple[int, ...] = ()
    fifo: int | None = None
    gpu: bool = False
    keep: tuple[int, ...] = ()
    readable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reached:
    """How far it came. `layers`: every name of `LAYERS`, with `on` or the reason why not."""

    level: Level
    layers: Mapping[str, str] = field(default_factory=dict)


def is_on(state: str) -> bool:
    """Whether a layer's state says that it holds: `on`, or `on (how)`."""
    return state == ON or state.startswith(f"{ON} (")


def reached(layers: Mapping[str, str]) -> Reached:
    """The highest level all of whose layers, and all below, are on."""
    whole = {layer: layers.get(layer, NOT_ASKED) for layer in LAYERS}
    best = Level.OFF
    for level in Level:
        if not all(is_on(whole[layer]) for layer in NEEDS[level]):
            break
        best = level
    return Reached(best, MappingProxyType(whole))
