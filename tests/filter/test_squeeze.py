"""Squeezing is the 2x2 median at 5 bits, on any shape, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgeguard.filter import LEVELS, Squeezer, squeeze

PICTURES = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    elements=st.floats(0.0, 1.0, width=32),
)


def naive(picture: np.ndarray) -> np.ndarray:
    """The definition, a pixel at a time."""
    planes, height, width = picture.shape
    out = np.empty((planes, height, width))
    for c in range(planes):
        for y in range(height):
            for x in range(width):
                down, right = min(y + 1, height - 1), min(x + 1, width - 1)
                four = sorted(float(picture[c, j, i]) for j in (y, down) for i in (x, right))
                out[c, y, x] = np.float32(np.float32(four[1]) + np.float32(four[2])) * np.float32(LEVELS / 2)
    return np.rint(out) / LEVELS


@given(PICTURES)
@settings(max_examples=60)
def test_squeeze_equals_the_naive_definition(picture: np.ndarray) -> None:
    np.testing.assert_allclose(squeeze(picture), naive(picture), atol=1e-6)


@given(PICTURES)
@settings(max_examples=40)
def test_squeezed_values_are_one_of_32_levels_in_range(picture: np.ndarray) -> None:
    out = squeeze(picture)
    steps = out.astype(np.float64) * LEVELS
    assert np.abs(steps - np.rint(steps)).max() < 1e-4
    assert out.min() >= 0.0
    assert out.max() <= 1.0 + 1e-6


def test_a_single_wrong_pixel_disappears() -> None:
    picture = np.zeros((3, 8, 8), np.float32)
    picture[:, 4, 4] = 1.0
    assert squeeze(picture).max() == 0.0


def test_a_flat_picture_on_a_level_stays() -> None:
    picture = np.full((3, 5, 5), 7 / LEVELS, np.float32)
    np.testing.assert_allclose(squeeze(picture), picture, atol=1e-6)


@pytest.mark.parametrize("size", [32, 224])
def test_the_squeezer_writes_where_it_is_told_and_keeps_its_input(size: int) -> None:
    picture = np.random.default_rng(1).random((3, size, size), dtype=np.float32)
    before = picture.copy()
    out = np.empty_like(picture)
    Squeezer(picture.shape)(picture, out)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(out, squeeze(picture))
