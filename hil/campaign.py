"""Many drives at once: the real-time ones in this process's loop, then the virtual ones in a pool.

Returns drives; judging them is `hil.results`', showing them `hil.demo`'s.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from hil import launch
from hil.profile import PROFILE, Profile
from hil.scenario import Scenario, draw
from hil.trace import Drive, Trace
from hil.virtual import drive_seed, policy_of

WORKERS: Final = 2
AT_ONCE: Final = 5  # real-time drives
AT_ONCE_EMULATED: Final = 2
KEPT_SEEDS: Final = 3  # a scenario: of the others only the measures are kept, not the traces

Progress = Callable[[Drive], None]


def run_campaign(
    scenarios: Sequence[Scenario],
    seeds: int,
    progress: Progress,
    profile: Profile = PROFILE,
    *,
    emulated: bool = False,
) -> tuple[Drive, ...]:
    """Drive every scenario with seeds 0 .. `seeds` - 1, both arms. `progress` hears of every drive, in any thread.

    `emulated`: in the real-time drives the firmware runs under QEMU.
    """
    heard = _Heard(progress)
    # One after the other: what is measured in real time is not to be measured on a machine that computes at full load.
    real = _real_time(scenarios, seeds, heard.one, profile, emulated=emulated)
    virtual = _virtual(scenarios, seeds, heard.both, profile)
    return tuple(drive if _is_kept(drive) else _without_trace(drive) for drive in [*virtual, *real])


def _virtual(
    scenarios: Sequence[Scenario],
    seeds: int,
    progress: Callable[[Future[tuple[Drive, Drive]]], None],
    profile: Profile,
) -> list[Drive]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        futures = [
            pool.submit(drive_seed, scenario, seed, profile)
            for seed in range(seeds)
            for scenario in scenarios
            if scenario.rig == "virtual"
        ]
        for future in futures:
            future.add_done_callback(progress)
        try:
            return [drive for future in futures for drive in future.result()]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _real_time(
    scenarios: Sequence[Scenario], seeds: int, progress: Progress, profile: Profile, *, emulated: bool
) -> list[Drive]:
    starts = [
        partial(
            launch.start,
            scenario,
            draw(scenario, seed),
            arm,
            policy_of(profile).program,
            profile,
            emulated=emulated,
        )
        for seed in range(seeds)
        for scenario in scenarios
        if scenario.rig == "process"
        for arm in ("guarded", "unguarded")
    ]
    return list(launch.run_all(starts, AT_ONCE_EMULATED if emulated else AT_ONCE, progress))


def _is_kept(drive: Drive) -> bool:
    return drive.seed < KEPT_SEEDS or (drive.arm == "guarded" and drive.violation)


def _without_trace(drive: Drive) -> Drive:
    return replace(drive, trace=Trace(), thumbnails=())


class _Heard:
    """Passes drives on one at a time: the pool's thread and the loop's may report at once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()

    def one(self, drive: Drive) -> None:
        with self._lock:
            self._progress(drive)

    def both(self, future: Future[tuple[Drive, Drive]]) -> None:
        if not future.cancelled() and future.exception() is None:
            for drive in future.result():
                self.one(drive)
