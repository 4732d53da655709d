"""Times several ways of doing the same work: they take turns on the same frames in one process, a few frames a turn.

Reads the clock and keeps every time; judges nothing.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgeguard import realtime
from edgeguard.program import Realtime

Times = NDArray[np.float64]
"""One time a frame, in microseconds."""

Step = Callable[[], object]
"""Does one frame's work. It knows which frame is next."""

LEAD = 8
"""Frames of a turn that are not timed: they bring this variant's own code and weights back into the caches."""
TURN = 16
"""Frames of a turn that are timed: whole cycles of every schedule that is measured."""


@contextmanager
def quiet() -> Iterator[None]:
    """No garbage collection meanwhile, as a guard that was told `gc: freeze` runs."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


REST = 0.15
"""Pause after a turn, as a share of it: the kernel takes a real-time thread off the CPU that never pauses."""


@contextmanager
def undisturbed(*, on: bool) -> Iterator[Mapping[str, str]]:
    """This thread alone on the last CPU, at a real-time priority, as far as the system grants it; says what it did."""
    before = os.sched_getaffinity(0)
    had = realtime.apply(Realtime(fifo=50, cpus=(max(before),))) if on else {}
    try:
        yield had
    finally:
        if on:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            os.sched_setaffinity(0, before)


def take_turns(
    table: Mapping[str, Step], count: int, *, lead: int = LEAD, turn: int = TURN
) -> dict[str, Times]:
    """Time at least `count` frames of every entry. A step that returns a float took that long by itself (us)."""
    turns = -(-count // turn)
    times = {name: np.empty(turns * turn) for name in table}
    with quiet():
        for k in range(turns):
            for name, step in table.items():
                began = time.perf_counter()
                for _ in range(lead):
                    step()
                mine = times[name]
                for i in range(k * turn, (k + 1) * turn):
                    started = time.perf_counter_ns()
                    said = step()
                    spent = (time.perf_counter_ns() - started) / 1000.0
                    mine[i] = said if isinstance(said, float) else spent
                time.sleep(REST * (time.perf_counter() - began))
    return times


def summary(times: Times) -> dict[str, float]:
    """Mean and percentiles (us)."""
    p50, p99, p999 = np.percentile(times, [50.0, 99.0, 99.9])
    return {"mean": float(times.mean()), "p50": float(p50), "p99": float(p99), "p99.9": float(p999)}
