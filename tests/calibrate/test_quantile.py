"""A threshold is crossed by at most its share of frames, the one that is still to come included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.calibrate.quantile import (
    at_least,
    at_most,
    frames_needed,
    loss_at_most,
    lower,
    rank,
    upper,
)

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


@given(st.integers(20, 100), st.sampled_from([0.05, 0.1, 0.25]), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_values_of_models_that_take_turns_count_as_parts_of_their_frame(
    frames: int, share: float, turns: int, seed: int
) -> None:
    values = np.random.default_rng(seed).random(frames * turns)
    beyond = float((values > upper(values.tolist(), share, turns)).sum()) / turns
    below = float((values < lower(values.tolist(), share, turns)).sum()) / turns
    # those of the frame to come count as beyond, too
    assert (beyond + 1.0) / (frames + 1) <= share + 1e-9
    assert (below + 1.0) / (frames + 1) <= share + 1e-9


@given(st.integers(1, 300), st.integers(1, 100))
def test_one_model_taking_turns_with_itself_is_one_model(frames: int, per_mille: int) -> None:
    share = per_mille / 1000
    assert rank(frames, share, 1) == int((frames + 1) * share + 1e-9)
    assert (rank(frames, share, 3) >= 1) == (rank(frames, share) >= 1)


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
    assert at_most(wrong, accepted, confidence) == pytest.approx(expected, abs=2e-5)


def test_the_bound_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    bounds = [at_most(int(rng.binomial(200, 0.03)), 200, 0.9) for _ in range(1000)]
    assert np.mean([bound >= 0.03 for bound in bounds]) >= 0.9


@given(st.integers(0, 30), st.integers(1, 400))
def test_more_wrong_answers_never_tighten_the_bound(wrong: int, accepted: int) -> None:
    assert at_most(wrong, accepted, 0.95) <= at_most(wrong + 1, accepted, 0.95)


@pytest.mark.parametrize(
    ("count", "trials", "confidence", "expected"),
    [
        (0, 10, 0.95, 0.0),
        (10, 10, 0.95, 0.05 ** (1 / 10)),
        (1, 10, 0.95, 0.005116),  # published tables of the one-sided Clopper-Pearson limit
        (5, 100, 0.95, 0.019913),
        (0, 0, 0.95, 0.0),
    ],
)
def test_the_lower_bound_is_clopper_and_pearsons(
    count: int, trials: int, confidence: float, expected: float
) -> None:
    assert at_least(count, trials, confidence) == pytest.approx(expected, abs=2e-5)


@given(st.integers(0, 200), st.integers(0, 200), st.sampled_from([0.9, 0.95, 0.99]))
def test_what_was_seen_lies_between_the_bounds(count: int, more: int, confidence: float) -> None:
    trials = count + more
    low, high = at_least(count, trials, confidence), at_most(count, trials, confidence)
    assert 0.0 <= low <= high <= 1.0
    assert trials == 0 or low <= count / trials <= high


def test_a_loss_is_bounded_from_above_by_both_of_its_parts() -> None:
    assert loss_at_most(0, 0, 0, 0.95) == 1.0
    assert loss_at_most(0, 0, 1000, 0.95) == pytest.approx(at_most(0, 1000, 0.975))
    assert loss_at_most(5, 3, 1000, 0.95) == at_most(5, 1000, 0.975) - at_least(3, 1000, 0.975)
    assert loss_at_most(0, 400, 1000, 0.95) < 0.0


def test_the_bound_on_a_loss_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    drawn = rng.multinomial(300, [0.06, 0.02, 0.92], size=600)
    held = [loss_at_most(int(lost), int(gained), 300, 0.9) >= 0.04 for lost, gained, _ in drawn]
    assert np.mean(held) >= 0.9
