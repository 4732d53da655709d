"""The whole way with the real parts: models, policy, guard, link and firmware, in virtual time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeguard.log import DecisionLog, read_log, verify_log
from edgeguard.types import Authority
from hil.profile import Profile
from hil.scenario import draw, load_all
from hil.trace import Drive
from hil.virtual import Workshop, drive_seed, guarded, policy_of

SCENARIOS = {s.scenario: s for s in load_all()}


@pytest.fixture(scope="module")
def workshop(signed: Profile) -> Iterator[Workshop]:
    made = Workshop(policy_of(signed))
    yield made
    made.close()


def driven(name: str, signed: Profile, workshop: Workshop, seed: int = 0) -> Drive:
    return guarded(SCENARIOS[name], draw(SCENARIOS[name], seed), policy_of(signed), workshop)


def test_a_clean_stop_is_the_models_own(signed: Profile, workshop: Workshop) -> None:
    drive = driven("clean-stop", signed, workshop)
    assert drive.refused == ""
    assert drive.stood
    assert not drive.violation
    assert not drive.handed_over
    assert drive.rules_share < 0.5


def test_a_logged_drive_names_its_policy_and_every_digest(
    signed: Profile, workshop: Workshop, tmp_path: Path
) -> None:
    path = tmp_path / "drive.log"
    log = DecisionLog(path)
    scenario = SCENARIOS["clean-stop"]
    guarded(scenario, draw(scenario, 0), policy_of(signed), workshop, log=log)
    log.close()
    assert verify_log(path).intact
    run = next(iter(read_log(path))).run
    assert (run.policy, run.version) == ("sign-gate", 1)
    assert run.digests == workshop.digests


def test_the_same_seed_gives_the_same_trace_with_the_real_parts(signed: Profile, workshop: Workshop) -> None:
    first, second = (driven("patch", signed, workshop) for _ in range(2))
    for name in ("time", "to_line", "brake", "authority", "label", "cause"):
        assert getattr(first.trace, name) == getattr(second.trace, name)
    for name, column in first.trace.signals.items():
        np.testing.assert_array_equal(column, second.trace.signals[name])


def test_a_sticker_runs_the_line_without_the_guard_and_not_with_it(signed: Profile) -> None:
    with_guard, without = drive_seed(SCENARIOS["patch"], 0, signed)
    assert without.violation
    assert not with_guard.violation
    assert with_guard.detected is not None
    assert with_guard.reaction is not None
    assert with_guard.reaction <= 0.025
    assert with_guard.thumbnails


def test_a_frozen_camera_ends_in_the_safe_state(signed: Profile, workshop: Workshop) -> None:
    drive = driven("frozen-camera", signed, workshop)
    assert drive.trace.authority[-1] == Authority.SAFE_STATE
    assert drive.trace.cause[-1] == "frozen-camera"
    assert not drive.violation


def test_an_operator_who_takes_over_drives_to_the_line(signed: Profile, workshop: Workshop) -> None:
    drive = driven("operator", signed, workshop)
    modes = list(dict.fromkeys(drive.trace.mode))
    assert modes == ["nominal", "degraded", "takeover_request", "manual"]
    asked, taken = (drive.trace.time[drive.trace.mode.index(mode)] for mode in modes[2:])
    assert taken - asked == pytest.approx(1.52, abs=0.03)
    assert drive.stood
    assert not drive.violation


def test_a_dead_redundant_model_takes_the_wheel_from_the_primary(signed: Profile) -> None:
    own = Workshop(policy_of(signed))
    try:
        drive = driven("redundant-killed", signed, own)
    finally:
        own.close()
    assert drive.detected == pytest.approx(0.82, abs=0.06)
    assert not drive.violation


def test_one_changed_byte_keeps_the_guard_from_starting(signed: Profile) -> None:
    with_guard, without = drive_seed(SCENARIOS["tampered-model"], 0, signed)
    assert with_guard.refused == "model.onnx: digest-mismatch"
    assert without.violation
