"""A threshold is crossed by at most its share of frames, the one that is still to come included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.calibrate.quantile import frames_needed, lower, rank, upper, wrong_at_most

VALUES = st.lists(st.floats(0, 1), min_size=20, max_size=200)


@given(VALUES, st.sampled_from([0.05, 0.1, 0.25, 0.5]))
def test_at_most_the_share_lies_beyond_either_side(values: list[float], share: float) -> None:
    allowed = rank(len(values), share)
    assert sum(v > upper(values, share) for v in values) <= max(allowed - 1, 0)
    assert sum(v < lower(values, share) for v in values) <= max(allowed - 1, 0)


@given(st.integers(1, 5), st.integers(1, 60))
def test_the_frames_needed_are_enough_and_one_less_is_not(signals: int, per_mille: int) -> None:
    share = per_mille / 1000 / signals
    needed = frames_needed(share)
    assert rank(needed, share) >= 1
    assert rank(needed - 1, share) < 1


def test_the_share_of_the_next_frame_is_kept_on_average() -> None:
    rng = np.random.default_rng(0)
    crossed = [rng.random() > upper(rng.random(99).tolist(), 0.05) for _ in range(4000)]
    assert np.mean(crossed) == pytest.approx(0.05, abs=0.012)


def test_a_hundredth_of_ninety_nine_frames_is_the_most_extreme_one() -> None:
    values = [i / 100 for i in range(99)]
    assert upper(values, 0.01) == 0.98
    assert lower(values, 0.01) == 0.0
    assert rank(98, 0.01) == 0


@pytest.mark.parametrize(
    ("wrong", "accepted", "confidence", "expected"),
    [
        (0, 1, 0.95, 0.95),
        (0, 100, 0.95, 1 - 0.05 ** (1 / 100)),
        (1, 1, 0.95, 1.0),
        (0, 0, 0.95, 1.0),
        (1, 10, 0.95, 0.394163),  # published tables of the one-sided Clopper-Pearson limit
        (5, 100, 0.95, 0.102253),
        (10, 10000, 0.99, 0.002014),
    ],
)
def test_the_bound_on_wrong_answers_is_clopper_and_pearsons(
    wrong: int, accepted: int, confidence: float, expected: float
) -> None:
    assert wrong_at_most(wrong, accepted, confidence) == pytest.approx(expected, abs=2e-5)


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    bounds = [wrong_at_most(int(rng.binomial(200, 0.03)), 200, 0.9) for _ in range(1000)]
    assert np.mean([bound >= 0.03 for bound in bounds]) >= 0.9


@given(st.integers(0, 30), st.integers(1, 400))
def test_more_wrong_answers_never_tighten_the_bound(wrong: int, accepted: int) -> None:
    assert wrong_at_most(wrong, accepted, 0.95) <= wrong_at_most(wrong + 1, accepted, 0.95)
