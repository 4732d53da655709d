"""A picture that does not change is frozen, a picture of nothing is blank, and time that goes back is no time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgeguard.signals import FrameHealth, frame_age


def noise(seed: int, shape: tuple[int, int, int] = (64, 64, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_the_first_frame_is_not_frozen() -> None:
    assert FrameHealth().step(noise(1), 5.0).frozen_for == 0.0


def test_a_repeated_picture_is_frozen_since_it_was_first_seen() -> None:
    health = FrameHealth()
    health.step(noise(0), 0.9)
    seen = [health.step(noise(1), 1.0 + i * 0.05).frozen_for for i in range(4)]
    assert seen == pytest.approx([0.0, 0.05, 0.10, 0.15])


def test_a_new_picture_ends_the_stillness() -> None:
    health = FrameHealth()
    for i in range(3):
        health.step(noise(1), float(i))
    assert health.step(noise(2), 3.0).frozen_for == 0.0
    assert health.step(noise(2), 4.0).frozen_for == 1.0


def test_a_near_repeat_below_any_sensor_noise_is_frozen() -> None:
    health = FrameHealth()
    picture = np.full((64, 64, 3), 100, np.uint8)
    health.step(picture, 0.0)
    touched = picture.copy()
    touched[:8] += 1  # an eighth of the values by one count: 0.125 on average
    assert health.step(touched, 1.0).frozen_for == 1.0


def test_ordinary_sensor_noise_is_not_frozen() -> None:
    health, rng = FrameHealth(), np.random.default_rng(3)
    base = np.full((64, 64, 3), 100.0)
    for i in range(5):
        live = np.clip(base + rng.normal(0, 1, base.shape), 0, 255).astype(np.uint8)
        assert health.step(live, float(i)).frozen_for == 0.0


def test_slow_change_adds_up_and_is_not_frozen_for_ever() -> None:
    health = FrameHealth()
    picture = np.full((64, 64, 3), 100, np.uint8)
    stood = []
    for i in range(12):
        picture[i * 5 : i * 5 + 5] += 1  # each step alone stays below the limit
        stood.append(health.step(picture, float(i)).frozen_for)
    assert max(s for s in stood if s is not None) <= 4.0


def test_time_that_goes_back_has_no_value() -> None:
    health = FrameHealth()
    health.step(noise(1), 5.0)
    assert health.step(noise(1), 4.0).frozen_for is None


def test_a_time_that_is_no_number_has_no_value() -> None:
    assert FrameHealth().step(noise(1), math.nan).frozen_for is None


def test_another_frame_size_is_another_picture() -> None:
    health = FrameHealth()
    health.step(noise(1), 0.0)
    assert health.step(noise(1, (32, 32, 3)), 1.0).frozen_for == 0.0
    assert health.step(noise(1, (480, 640, 3)), 2.0).frozen_for == 0.0
    assert health.step(noise(1, (480, 640, 3)), 3.0).frozen_for == 1.0


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_blank_picture_has_no_contrast(level: int) -> None:
    assert FrameHealth().step(np.full((64, 64, 3), level, np.uint8), 0.0).contrast < 1e-3


def test_black_and_white_has_full_contrast() -> None:
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:32] = 255
    assert FrameHealth().step(picture, 0.0).contrast == pytest.approx(1.0, abs=1e-4)


def test_contrast_is_the_standard_deviation_over_half_the_range() -> None:
    picture = noise(9)
    assert FrameHealth().step(picture, 0.0).contrast == pytest.approx(picture.std() / 127.5, rel=0.03)


def test_the_caller_may_reuse_its_buffer() -> None:
    health, buffer = FrameHealth(), noise(1)
    health.step(buffer, 0.0)
    buffer[:] = noise(2)
    assert health.step(buffer, 1.0).frozen_for == 0.0


def test_frame_age_is_the_time_since_capture() -> None:
    assert frame_age(1.0, 1.25) == 0.25
