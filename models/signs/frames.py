"""Renders training, calibration and test frames with the rig's own camera, at the networks' 32x32 input size.

The 64x64 frame becomes 32x32 by the mean of 2x2 pixels: what `"resize": "area"` in the manifests means.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hil.camera import DEFAULT, VISIBLE_M, Camera, Condition

FARTHEST_M = 75.0  # beyond `VISIBLE_M` the camera shows background only, whose label is `none`

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]
Weather = Callable[[np.random.Generator], Condition]


def area(images: Bytes) -> Bytes:
    """Return (N, 3, 32, 32) uint8: the rounded mean of each 2x2 block of (N, 64, 64, 3) frames."""
    n, height, width, _ = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2, 3).astype(np.uint16).sum(axis=(2, 4))
    return np.ascontiguousarray(((blocks + 2) // 4).astype(np.uint8).transpose(0, 3, 1, 2))


def clean(_: np.random.Generator) -> Condition:
    return Condition()


def night(rng: np.random.Generator) -> Condition:
    return Condition(light=float(rng.uniform(0.2, 0.35)), noise=float(rng.uniform(4, 8)))


def mixed(rng: np.random.Generator) -> Condition:
    """Return the training mixture: half ordinary daylight, the rest night, noise and blur."""
    kind = rng.random()
    if kind < 0.45:
        return Condition(light=float(rng.uniform(0.75, 1.2)), noise=float(rng.uniform(0, 2)))
    if kind < 0.65:
        return Condition(light=float(rng.uniform(0.12, 0.5)), noise=float(rng.uniform(0, 10)))
    if kind < 0.82:
        return Condition(light=float(rng.uniform(0.6, 1.1)), noise=float(rng.uniform(2, 20)))
    return Condition(light=float(rng.uniform(0.6, 1.2)), blur=float(rng.uniform(0.3, 1.6)))


def stressed(rng: np.random.Generator) -> Condition:
    """Return weather bad enough to cause errors: without errors a temperature cannot be fitted."""
    light, noise, blur = rng.uniform(0.1, 1.2), rng.uniform(0, 60), rng.uniform(0, 4)
    return Condition(light=float(light), noise=float(noise), blur=float(blur))


def exposures(
    count: int,
    *,
    split: str,
    seed: int,
    weather: Weather = clean,
    per_scene: int = 10,
    signs: tuple[str, ...] = (),
    within: float = FARTHEST_M,
    assets: Path = DEFAULT,
) -> tuple[Bytes, Labels, NDArray[np.float32]]:
    """Return (count, 64, 64, 3) frames of approaches, their labels (-1: unknown object), distances in metres.

    Every approach has `per_scene` frames at uniformly drawn distances from `within` down to 2 m; the signs take turns.
    """
    rng = np.random.default_rng(seed)
    camera = Camera(split=split, seed=seed, assets=assets)
    choices = signs or ("none", *(s for s in camera.signs() if s != "unknown"))
    number = {name: k for k, name in enumerate(camera.classes)}
    images = np.empty((count, 64, 64, 3), dtype=np.uint8)
    labels = np.empty(count, dtype=np.int64)
    distances = np.empty(count, dtype=np.float32)
    for start in range(0, count, per_scene):
        sign = choices[(start // per_scene) % len(choices)]
        rows = range(start, min(start + per_scene, count))
        camera.new_approach()
        condition = weather(rng)
        for row, distance in zip(rows, np.sort(rng.uniform(2.0, within, len(rows)))[::-1]):
            images[row] = camera.frame(None if sign == "none" else sign, float(distance), condition)
            labels[row] = number.get(sign if distance <= VISIBLE_M else "none", -1)
            distances[row] = distance
    return images, labels, distances
