"""Probabilities at a temperature, refused when they are none; distances between answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeguard.signals import doubt, probabilities, total_variation
from edgeguard.signals.doubt import LARGEST, energies, margin

SCORES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 6)),
    elements=st.floats(-1e5, 1e5, width=32),
)


@given(SCORES, st.floats(0.05, 20.0))
def test_every_row_is_a_distribution_at_any_temperature(scores: np.ndarray, temperature: float) -> None:
    rows = probabilities(scores, temperature)
    assert rows is not None
    assert np.isfinite(rows).all()
    assert rows.min() >= 0.0
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, atol=1e-4)


def test_softmax_agrees_with_the_textbook() -> None:
    scores = np.array([[1.0, 2.0, 3.0]], np.float32)
    expected = [math.exp(s / 2) for s in (1, 2, 3)]
    rows = probabilities(scores, 2.0)
    assert rows is not None
    np.testing.assert_allclose(rows[0], np.array(expected) / sum(expected), rtol=1e-5)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 2 * LARGEST, -2 * LARGEST])
@pytest.mark.parametrize("logits", [True, False])
def test_a_score_that_is_not_sane_gives_nothing(bad: float, logits: bool) -> None:
    scores = np.array([[0.2, 0.8], [0.5, 0.5]], np.float32)
    scores[1, 0] = bad
    assert probabilities(scores, 1.0, logits=logits) is None


def test_declared_probabilities_pass_at_temperature_one() -> None:
    scores = np.array([[0.2, 0.8], [1.0, 0.0]], np.float32)
    rows = probabilities(scores, 1.0, logits=False)
    assert rows is not None
    np.testing.assert_allclose(rows, scores, atol=1e-6)


@pytest.mark.parametrize("row", [[0.2, 0.2], [-0.5, 1.5], [3.0, -2.0], [10.0, 4.0]])
def test_what_does_not_sum_to_one_is_no_probability(row: list[float]) -> None:
    assert probabilities(np.array([row], np.float32), 1.0, logits=False) is None


@given(SCORES)
def test_total_variation_is_a_distance_in_zero_to_one(scores: np.ndarray) -> None:
    rows = probabilities(scores, 1.0)
    assert rows is not None
    left, right = rows[0], rows[-1]
    assert total_variation(left, left) == 0.0
    assert 0.0 <= total_variation(left, right) <= 1.0
    assert total_variation(left, right) == total_variation(right, left)


def test_what_lies_on_a_limit_is_within_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slack = 2**-7
    monkeypatch.setattr(doubt, "_SUM_SLACK", slack)
    assert probabilities(np.array([[LARGEST, -LARGEST]], np.float32), 1.0) is not None
    for row in ([0.5, 0.5 + slack], [0.5, 0.5 - slack], [-slack, 1.0 + slack]):
        assert probabilities(np.array([row], np.float32), 1.0, logits=False) is not None
    for row in ([0.5, 0.5 + 2 * slack], [0.5, 0.5 - 2 * slack], [-2 * slack, 1.0 + 2 * slack]):
        assert probabilities(np.array([row], np.float32), 1.0, logits=False) is None


def test_the_distance_is_half_of_what_the_classes_differ_by() -> None:
    left, right = np.array([0.75, 0.25, 0.0], np.float32), np.array([0.5, 0.25, 0.25], np.float32)
    assert total_variation(left, right) == 0.25


def test_disjoint_answers_are_one_apart() -> None:
    assert total_variation(np.array([1, 0], np.float32), np.array([0, 1], np.float32)) == 1.0


def test_rounding_takes_no_distance_beyond_one() -> None:
    above = np.nextafter(np.float32(1.0), np.float32(2.0))
    left, right = np.array([above, 0], np.float32), np.array([0, above], np.float32)
    assert total_variation(left, right) == margin(left) == 1.0


@given(hnp.arrays(np.float32, st.integers(2, 9), elements=st.floats(0.0, 1.0, width=32)))
def test_the_margin_is_between_the_two_likeliest_classes(row: np.ndarray) -> None:
    second, first = sorted(row.tolist())[-2:]
    assert margin(row) == first - second


def test_the_energy_of_a_row_is_its_own_however_far_the_rows_lie_apart() -> None:
    rows = np.array([[9e5, 0.0, 0.0], [-9e5, -9e5, -9e5]], np.float32)
    np.testing.assert_allclose(energies(rows, 2.0), [-9e5, 9e5 - 2.0 * math.log(3.0)], rtol=1e-6)
