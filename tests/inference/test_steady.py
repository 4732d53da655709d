"""An answer has stood since the first frame that named its class without a gap."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.inference.steady import Steady

LABELS = st.lists(st.tuples(st.none() | st.integers(0, 2), st.integers(0, 5)), max_size=30)


def stood(seen: list[tuple[int | None, float]]) -> float | None:
    """By the definition, from the whole past."""
    label, now = seen[-1]
    since = now
    for other, at in reversed(seen):
        if label is None or other != label:
            break
        since = at
    return None if label is None else now - since


@given(LABELS)
def test_the_time_is_counted_from_the_first_frame_of_the_class(steps: list[tuple[int | None, int]]) -> None:
    steady, seen, now = Steady(), [], 10.0
    for label, gap in steps:
        now += gap
        seen.append((label, now))
        assert steady.step(label, now) == stood(seen)


@pytest.mark.parametrize("at", [0.5, math.nan])
def test_a_time_that_runs_backwards_gives_none(at: float) -> None:
    steady = Steady()
    assert steady.step(1, 1.0) == 0.0
    assert steady.step(1, at) is None
    assert steady.step(1, 3.0) == 2.0
