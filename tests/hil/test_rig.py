from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeguard.types import Authority
from hil.approach import Faults
from hil.rig import drive_guarded
from hil.scenario import Scenario, draw, load_all
from hil.trace import Drive

SCENARIOS = {s.scenario: s for s in load_all()}
LIMITS = {"brake": (0.0, 1.0), "throttle": (0.0, 0.6)}
Fakes = Callable[..., tuple[Any, Any]]


def driven(fakes: Fakes, scenario: Scenario, doubts_after: float, *, seed: int = 1, **how: Any) -> Drive:
    host, line = fakes(doubts_after, **how)
    return drive_guarded(scenario, draw(scenario, seed), host, line, Faults(), LIMITS)


def test_the_same_seed_gives_the_same_trace(fakes: Fakes) -> None:
    first = driven(fakes, SCENARIOS["clean-stop"], 50)
    second = driven(fakes, SCENARIOS["clean-stop"], 50)
    other = driven(fakes, SCENARIOS["clean-stop"], 50, seed=2)
    assert first.trace == second.trace
    assert first.trace != other.trace


def test_the_same_seed_gives_the_same_frames(fakes: Fakes) -> None:
    seen = []
    for _ in range(2):
        host, line = fakes(50)
        drive_guarded(SCENARIOS["patch"], draw(SCENARIOS["patch"], 1), host, line, Faults(), LIMITS)
        seen.append([frame.image for frame in host.seen])
    assert len(seen[0]) == len(seen[1])
    assert all(np.array_equal(a, b) for a, b in zip(*seen))


def test_a_guard_that_brakes_stops_at_the_line(fakes: Fakes) -> None:
    drive = driven(fakes, SCENARIOS["patch"], 60)
    assert drive.stood or drive.rest is not None
    assert not drive.violation
    assert drive.detected is not None
    assert drive.reaction == pytest.approx(0.001, abs=1e-6)
    assert [t.authority for t in drive.thumbnails] == [Authority.RULES]


def test_a_guard_that_never_doubts_runs_the_line(fakes: Fakes) -> None:
    drive = driven(fakes, SCENARIOS["patch"], 10_000)
    assert drive.violation
    assert drive.crossed_at is not None
    assert drive.detected is None


def test_passing_is_no_violation_where_nothing_demands_a_stop(fakes: Fakes) -> None:
    assert not driven(fakes, SCENARIOS["clean-signs"], 10_000).violation


def test_a_handover_of_a_clean_drive_is_seen(fakes: Fakes) -> None:
    assert driven(fakes, SCENARIOS["clean-stop"], 60, then=Authority.HUMAN).handed_over
    assert not driven(fakes, SCENARIOS["clean-stop"], 60, then=Authority.RULES).handed_over


def test_an_output_outside_the_envelope_is_a_violation(fakes: Fakes) -> None:
    host, line = fakes(10_000)
    drawn = draw(SCENARIOS["clean-empty"], 1)
    drive = drive_guarded(SCENARIOS["clean-empty"], drawn, host, line, Faults(), {"throttle": (0.0, 0.05)})
    assert drive.violation


def test_a_frozen_camera_repeats_its_picture_under_new_numbers(fakes: Fakes) -> None:
    host, line = fakes(10_000)
    drive_guarded(
        SCENARIOS["frozen-camera"], draw(SCENARIOS["frozen-camera"], 1), host, line, Faults(), LIMITS
    )
    last, before = host.seen[-1], host.seen[-2]
    assert np.array_equal(last.image, before.image)
    assert last.number == before.number + 1
    assert last.at > before.at


def test_the_redundant_model_is_killed_once(fakes: Fakes) -> None:
    killed: list[int] = []
    host, line = fakes(10_000)
    scenario = SCENARIOS["redundant-killed"]
    drive_guarded(scenario, draw(scenario, 1), host, line, Faults(lambda: killed.append(1)), LIMITS)
    assert killed == [1]


def test_a_microcontroller_that_never_arms_is_reported(fakes: Fakes) -> None:
    host, line = fakes(10_000)
    line.mode = "silent"
    drawn = draw(SCENARIOS["patch"], 1)
    drive = drive_guarded(SCENARIOS["patch"], drawn, host, line, Faults(), LIMITS)
    assert "not armed" in drive.refused
