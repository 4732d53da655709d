"""How many cameras one machine carries: a guard and a thread a camera, in one process tree, as quickly as they can.

Every guard has models, signals, decision and log of its own; nothing is shared but the cores.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.guards import guarded
from bench.turns import LEAD, quiet, summary
from edgeguard import realtime
from edgeguard.program import Realtime

if TYPE_CHECKING:
    from bench.guards import Guarded, Setting
    from bench.profiles import Profile

COUNTS = (1, 2, 4, 8)
ROUND = 0.8
"""Longest time (s) that all of them run before they pause: the kernel stops a real-time thread that never does."""
PAUSE = 0.4
EVERYWHERE = "scheduling: {fifo: 40}"


def cameras(
    profile: Profile,
    setting: Setting,
    folder: Path,
    *,
    seconds: float,
    counts: tuple[int, ...] = COUNTS,
    real: bool = False,
) -> list[dict[str, Any]]:
    """A row a number of cameras: frames/s of all of them, and percentiles (us) of a frame of the slowest camera.

    `real`: at real-time priorities, on any CPU.
    """
    if real:
        setting = replace(setting, more=setting.more.replace("PLACE-1", EVERYWHERE), placed=False)
    rows = []
    for count in counts:
        with ExitStack() as stack:
            together = [
                stack.enter_context(guarded(setting, profile.frames, folder / f"camera-{count}-{i}.log"))
                for i in range(count)
            ]
            rows.append({"cameras": count, **_row(together, seconds, real=real)})
    return rows


def _row(guards: list[Guarded], seconds: float, *, real: bool) -> dict[str, float]:
    """In rounds, with a pause between them."""
    times: list[list[float]] = [[] for _ in guards]
    spent = 0.0
    with quiet():
        while spent < seconds:
            time.sleep(PAUSE)
            spent += _together(guards, times, min(ROUND, seconds), real=real)
    worst = max((summary(np.array(mine)) for mine in times), key=lambda row: row["p99"])
    return {"frames/s": sum(map(len, times)) / spent, **worst}


def _together(guards: list[Guarded], times: list[list[float]], seconds: float, *, real: bool) -> float:
    """One round of all cameras at once; how long it took (s)."""
    start = threading.Barrier(len(guards))
    spans: list[tuple[float, float]] = []

    def camera(guard: Guarded, mine: list[float]) -> None:
        if real:
            realtime.apply(Realtime(fifo=50))
        for _ in range(LEAD):
            guard.step()
        start.wait()
        before = began = time.perf_counter()
        while before - began < seconds:
            guard.step()
            now = time.perf_counter()
            mine.append((now - before) * 1e6)
            before = now
        spans.append((began, before))

    threads = [threading.Thread(target=camera, args=pair) for pair in zip(guards, times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(end for _, end in spans) - min(begin for begin, _ in spans)
