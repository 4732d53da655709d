"""How many cameras one machine carries: a guard and a thread a camera, in one process tree, as quickly as they can.

Every guard has models, signals, decision and log of its own; nothing is shared but the cores.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.guards import guarded
from bench.turns import LEAD, quiet, summary

if TYPE_CHECKING:
    from bench.guards import Guarded, Setting
    from bench.profiles import Profile

COUNTS = (1, 2, 4, 8)


def cameras(
    profile: Profile, setting: Setting, folder: Path, *, seconds: float, counts: tuple[int, ...] = COUNTS
) -> list[dict[str, Any]]:
    """A row a number of cameras: frames/s of all of them, and percentiles (us) of a frame of the slowest camera."""
    rows = []
    for count in counts:
        with ExitStack() as stack:
            all_of_them = [
                stack.enter_context(guarded(setting, profile.frames, folder / f"camera-{count}-{i}.log"))
                for i in range(count)
            ]
            rows.append({"cameras": count, **_together(all_of_them, seconds)})
    return rows


def _together(guards: list[Guarded], seconds: float) -> dict[str, float]:
    times: list[list[float]] = [[] for _ in guards]
    start = threading.Barrier(len(guards))
    began = [0.0] * len(guards)
    ended = [0.0] * len(guards)

    def camera(i: int) -> None:
        guard, mine = guards[i], times[i]
        for _ in range(LEAD):
            guard.step()
        start.wait()
        before = began[i] = time.perf_counter()
        while before - began[i] < seconds:
            guard.step()
            now = time.perf_counter()
            mine.append((now - before) * 1e6)
            before = now
        ended[i] = before

    with quiet():
        threads = [threading.Thread(target=camera, args=(i,)) for i in range(len(guards))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    frames = sum(map(len, times)) / (max(ended) - min(began))
    worst = max((summary(np.array(mine)) for mine in times), key=lambda row: row["p99"])
    return {"frames/s": frames, **worst}
