"""What the rig and the training scripts may rely on from the camera."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest

from hil.camera import DEFAULT, Camera, Condition

DAY = Condition()


def drive(seed: int, sign: str | None = "stop", condition: Condition = DAY) -> list[np.ndarray]:
    camera = Camera(seed=seed)
    return [camera.frame(sign, distance, condition) for distance in np.arange(60.0, 2.0, -2.0)]


def test_a_frame_is_64_by_64_rgb_bytes() -> None:
    frame = Camera(seed=1).frame("stop", 20.0)
    assert frame.shape == (64, 64, 3)
    assert frame.dtype == np.uint8


def test_the_same_seed_and_calls_give_the_same_frames() -> None:
    assert all(np.array_equal(a, b) for a, b in zip(drive(3), drive(3), strict=True))


def test_another_seed_gives_other_frames() -> None:
    assert not np.array_equal(drive(3)[0], drive(4)[0])


def test_two_exposures_of_a_standing_vehicle_differ_but_little() -> None:
    camera = Camera(seed=5)
    first, second = (camera.frame("stop", 10.0).astype(int) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.abs(first - second).mean() < 12  # 8-bit counts


def test_an_approach_is_smooth_from_frame_to_frame() -> None:
    camera = Camera(seed=6)
    frames = [camera.frame("stop", distance).astype(int) for distance in np.arange(40.0, 5.0, -0.5)]
    steps = [np.abs(a - b).mean() for a, b in pairwise(frames)]
    strangers = np.abs(frames[0] - Camera(seed=7).frame("parking", 40.0).astype(int)).mean()
    assert np.median(steps) < strangers / 3


def test_beyond_sixty_metres_there_is_only_background() -> None:
    far, bare = Camera(seed=8), Camera(seed=8)
    far.frame("stop", 70.0)
    bare.frame("none", 70.0)
    assert far.expose(70.0, DAY).std() > 0
    seen, beyond = far.expose(60.0, DAY), far.expose(61.0, DAY)
    assert np.abs(seen - beyond).mean() > 5


def test_detail_falls_with_distance() -> None:
    camera = Camera(seed=9)
    camera.frame("stop", 30.0)
    detail = [float(np.abs(np.diff(camera.expose(d, DAY), axis=1)).mean()) for d in (50.0, 30.0, 12.0)]
    assert detail == sorted(detail)


def test_night_is_darker_and_noise_is_noisier() -> None:
    day, night = drive(10)[5].astype(float), drive(10, condition=Condition(light=0.25))[5].astype(float)
    assert night.mean() < 0.5 * day.mean()
    noisy = drive(10, condition=Condition(noise=20.0))[5].astype(float)
    assert np.abs(noisy - day).mean() > 8


def test_blur_takes_detail_away() -> None:
    camera = Camera(seed=11)
    camera.frame("stop", 8.0)
    sharp, soft = camera.expose(8.0, DAY), camera.expose(8.0, Condition(blur=2.0))
    assert np.abs(np.diff(soft, axis=1)).mean() < np.abs(np.diff(sharp, axis=1)).mean()


def test_the_patch_changes_the_sign_only() -> None:
    camera = Camera(seed=12)
    camera.frame("stop", 8.0)
    change = np.abs(camera.expose(8.0, DAY) - camera.expose(8.0, Condition(patch=True))).sum(axis=2)
    assert change[16:48, 16:48].sum() > 0
    assert change[:6].sum() == 0
    assert (change > 1).mean() < 0.2


def test_pgd_frames_are_played_for_a_stop_sign() -> None:
    attacked, plain = drive(13, condition=Condition(attack="pgd")), drive(13)
    assert not np.array_equal(attacked[10], plain[10])
    assert not np.array_equal(attacked[10], attacked[11])


def test_a_standing_vehicle_sees_changing_pgd_frames() -> None:
    camera = Camera(seed=14)
    first, second = (camera.frame("stop", 10.0, Condition(attack="pgd")) for _ in range(2))
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("split", ["train", "calibration", "test", "shift"])
def test_every_split_shows_stop_background_and_unknown_objects(split: str) -> None:
    camera = Camera(split=split, seed=15)
    for sign in ("stop", "unknown", None):
        assert camera.frame(sign, 20.0).shape == (64, 64, 3)


def test_a_sign_without_artwork_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no artwork of `dragon`"):
        Camera(seed=16).frame("dragon", 20.0)


def test_an_unknown_split_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match="no photographs"):
        Camera(split="dragon", seed=16)


def test_no_photograph_is_shared_between_calibration_and_test() -> None:
    import json

    listed = json.loads((DEFAULT / "assets.json").read_text(encoding="utf-8"))["photographs"]
    shared = [p["file"] for p in listed if len({"train", "calibration", "test"} & set(p["splits"])) > 1]
    assert shared == []


def test_a_frame_takes_at_most_a_few_milliseconds() -> None:
    camera = Camera(seed=17)
    times = []
    for _ in range(200):
        began = time.perf_counter()
        camera.frame("stop", 20.0)
        times.append(time.perf_counter() - began)
    assert np.median(times) < 3e-3  # seconds; 0.35 ms on an idle core
