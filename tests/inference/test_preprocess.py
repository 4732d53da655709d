"""Preprocessing is what the manifest declares: resizing against its definition, then colours, constants and layout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.errors import ContractError
from edgeguard.inference.preprocess import Normaliser, Resizer, area_taps, bilinear_taps, geometry


def naive_area(image: np.ndarray, height: int, width: int) -> Any:
    """The mean over each output pixel's area, by its overlap with every input pixel."""

    def weights(size: int, outputs: int) -> Any:
        table, factor = np.zeros((outputs, size)), size / outputs
        for o in range(outputs):
            for i in range(size):
                table[o, i] = max(0.0, min(i + 1, (o + 1) * factor) - max(i, o * factor))
        return table / table.sum(axis=1, keepdims=True)

    rows = weights(image.shape[0], height)
    columns = weights(image.shape[1], width)
    return np.einsum("yj,xi,jic->cyx", rows, columns, image / 255.0)


def naive_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Half-pixel centres, a pixel at a time."""
    out = np.empty((3, height, width))
    tall, wide = image.shape[:2]
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) * tall / height - 0.5, 0), tall - 1)
            u = min(max((x + 0.5) * wide / width - 0.5, 0), wide - 1)
            j, i = int(v), int(u)
            jj, ii = min(j + 1, tall - 1), min(i + 1, wide - 1)
            top = image[j, i] * (1 - (u - i)) + image[j, ii] * (u - i)
            low = image[jj, i] * (1 - (u - i)) + image[jj, ii] * (u - i)
            out[:, y, x] = (top * (1 - (v - j)) + low * (v - j)) / 255.0
    return out


SIZES = st.integers(1, 24)


@given(SIZES, SIZES, st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=60)
def test_area_is_the_mean_over_the_area(tall: int, wide: int, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (tall, wide, 3), dtype=np.uint8)
    out = np.empty((3, height, width), np.float32)
    Resizer(height, width, "area")(image, out)
    np.testing.assert_allclose(out, naive_area(image, height, width), atol=2e-5)


@given(SIZES, SIZES, st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=60)
def test_bilinear_has_half_pixel_centres(tall: int, wide: int, height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (tall, wide, 3), dtype=np.uint8)
    out = np.empty((3, height, width), np.float32)
    Resizer(height, width, "bilinear")(image, out)
    np.testing.assert_allclose(out, naive_bilinear(image, height, width), atol=2e-5)


@pytest.mark.parametrize("method", ["area", "bilinear"])
@pytest.mark.parametrize("shape", [(480, 640, 3), (1080, 1920, 3), (1, 1, 3), (33, 31, 3)])
def test_white_stays_white_at_any_size(method: str, shape: tuple[int, int, int]) -> None:
    out = np.empty((3, 32, 32), np.float32)
    Resizer(32, 32, method)(np.full(shape, 255, np.uint8), out)
    assert out.max() <= 1.0
    np.testing.assert_allclose(out, 1.0, atol=1e-5)


def test_one_resizer_takes_frames_of_changing_size() -> None:
    resizer, out = Resizer(4, 4, "area"), np.empty((3, 4, 4), np.float32)
    for side in (4, 8, 7, 8, 4):
        image = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
        resizer(image, out)
        np.testing.assert_allclose(out, naive_area(image, 4, 4), atol=2e-5)


def test_a_flipped_view_is_read_as_it_is_seen() -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)[::-1, ::-1]
    for method, naive in (("area", naive_area), ("bilinear", naive_bilinear)):
        out = np.empty((3, 8, 5), np.float32)
        Resizer(8, 5, method)(image, out)
        np.testing.assert_allclose(out, naive(image, 8, 5), atol=2e-5)


def test_a_factor_of_many_pixels_does_not_overflow() -> None:
    out = np.empty((3, 1, 1), np.float32)
    Resizer(1, 1, "area")(np.full((300, 300, 3), 255, np.uint8), out)
    np.testing.assert_allclose(out, 1.0, atol=1e-6)


@pytest.mark.parametrize("taps", [area_taps, bilinear_taps])
@given(size=st.integers(1, 300), outputs=st.integers(1, 300))
def test_the_weights_of_every_output_sum_to_one(taps: Any, size: int, outputs: int) -> None:
    index, weight = taps(size, outputs)
    assert index.min() >= 0
    assert index.max() < size
    np.testing.assert_allclose(weight.sum(axis=0), 1.0, atol=1e-5)


def test_an_unknown_resize_is_refused() -> None:
    with pytest.raises(ContractError, match="unknown resize `cubic`"):
        Resizer(8, 8, "cubic")


def test_plain_constants_leave_the_picture_as_it_is(tiny: Any) -> None:
    picture = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    out = np.empty_like(picture)
    Normaliser(tiny.spec(), "b")(picture, out)
    np.testing.assert_array_equal(out, picture)


def test_declared_constants_colours_and_layout_are_applied(tiny: Any) -> None:
    spec = tiny.spec(layout="NHWC", color="BGR", scale=1 / 127.5, mean=(1.0, 0.9, 0.8), std=(0.5, 0.25, 2.0))
    picture = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    got = np.empty((8, 8, 3), np.float32)
    Normaliser(spec, "b")(picture, got)
    bgr = picture.astype(np.float64).transpose(1, 2, 0)[..., ::-1]
    expected = (bgr * 255 / 127.5 - np.array([1.0, 0.9, 0.8])) / np.array([0.5, 0.25, 2.0])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_a_filters_picture_comes_back_canonical(tiny: Any) -> None:
    normaliser = Normaliser(tiny.spec(layout="NHWC", color="BGR"), "b")
    picture = np.random.default_rng(0).random((3, 8, 8), dtype=np.float32)
    out = np.empty((8, 8, 3), np.float32)
    normaliser(picture, out)
    np.testing.assert_allclose(normaliser.canonical(out), picture, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"color": "GRAY"}, "color"),
        ({"mean": (0.0,)}, "three numbers"),
        ({"std": (1.0, 0.0, 1.0)}, "positive"),
        ({"scale": math.nan}, "positive"),
    ],
)
def test_constants_that_cannot_be_used_are_refused(tiny: Any, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        Normaliser(tiny.spec(**changes), "b")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"layout": "HWC"}, "layout"),
        ({"shape": ("N", 1, 8, 8)}, "1 channels"),
        ({"layout": "NHWC", "shape": ("N", 3, 8, 8)}, "8 channels"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(tiny: Any, changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ContractError, match=word):
        geometry(tiny.spec(**changes), "b")
