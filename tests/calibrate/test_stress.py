"""Corruptions are ordinary, take turns, and give the same bytes every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.calibrate.stress import KINDS, stressed

PICTURE = np.random.default_rng(3).integers(0, 256, (96, 130, 3), dtype=np.uint8)


def test_the_kinds_take_turns() -> None:
    kinds = [stressed(PICTURE, i)[0] for i in range(8)]
    assert kinds == ["noise", "blur", "darkness", "occlusion"] * 2


@pytest.mark.parametrize("index", range(4))
def test_the_same_picture_index_and_seed_give_the_same_bytes(index: int) -> None:
    before = PICTURE.copy()
    once, again, other = (
        stressed(PICTURE, index)[1],
        stressed(PICTURE, index)[1],
        stressed(PICTURE, index, seed=1)[1],
    )
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != other.tobytes()
    assert not np.array_equal(once, PICTURE)
    np.testing.assert_array_equal(PICTURE, before)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000), st.integers(0, 255))
def test_a_picture_of_any_size_stays_a_picture_of_its_size(
    height: int, width: int, index: int, grey: int
) -> None:
    picture = np.full((height, width, 3), grey, np.uint8)
    _, found = stressed(picture, index)
    assert found.shape == picture.shape
    assert found.dtype == np.uint8


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_each_kind_does_what_it_is_called(strength: float) -> None:
    field = PICTURE.astype(np.float32)
    made = {kind: change(field, strength, np.random.default_rng(0)) for kind, change in KINDS.items()}
    spread = float((made["noise"] - field).std())
    assert spread == pytest.approx(20 + 80 * strength, rel=0.1)
    assert made["blur"].std() < field.std()
    assert made["blur"].mean() == pytest.approx(field.mean(), rel=0.02)
    assert made["darkness"].mean() == pytest.approx(
        field.mean() * (1 / 3 + strength * (1 / 20 - 1 / 3)), rel=0.05
    )
    covered = (made["occlusion"] != field).any(axis=2).mean()
    assert covered == pytest.approx((0.2 + 0.4 * strength) ** 2, abs=0.05)


def test_a_stronger_blur_leaves_less_detail() -> None:
    field = PICTURE.astype(np.float32)
    detail = [float(KINDS["blur"](field, s, np.random.default_rng(0)).std()) for s in (0.0, 0.3, 1.0)]
    assert detail[0] > detail[1] > detail[2]
