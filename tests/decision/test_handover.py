"""The ladder sounds while a takeover is requested, step by step, and only then."""

from __future__ import annotations

import math

import pytest

from edgeguard.decision.handover import due
from edgeguard.decision.machine import State
from edgeguard.types import Mode

LADDER = ((1.0, "visual"), (2.0, "audible"), (3.0, "haptic"))


@pytest.mark.parametrize(
    ("now", "alerts"),
    [
        (10.0, ()),
        (10.99, ()),
        (11.0, ("visual",)),
        (12.0, ("visual", "audible")),
        (13.5, ("visual", "audible", "haptic")),
        (math.nan, ("visual", "audible", "haptic")),
    ],
)
def test_alerts_come_one_after_the_other_and_stay(now: float, alerts: tuple[str, ...]) -> None:
    assert due(LADDER, State(Mode.TAKEOVER_REQUEST, (), 10.0), now) == alerts


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.TAKEOVER_REQUEST])
def test_nothing_sounds_in_any_other_mode(mode: Mode) -> None:
    assert due(LADDER, State(mode, (), 10.0), 20.0) == ()


def test_a_policy_without_a_ladder_has_no_alerts() -> None:
    assert due((), State(Mode.TAKEOVER_REQUEST, (), 10.0), 20.0) == ()
