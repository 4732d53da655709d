"""Ordinary corruptions of clean pictures, so that there are failures to compare: noise, blur, darkness, occlusion.

Deterministic: the same picture, index and seed give the same bytes. Labels stay. Attacks are no part of this.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeguard.types import Image

SEED = 0

_Field = NDArray[np.float32]
_Corruption = Callable[[_Field, float, np.random.Generator], _Field]


def stressed(image: Image, index: int, *, seed: int = SEED) -> tuple[str, Image]:
    """(kind, picture): `image` (uint8, (height, width, 3)) under the kind whose turn `index` is, at a drawn strength.

    The kinds take turns over the indices; the strength is drawn uniformly between the weakest and the strongest.
    """
    kind = tuple(KINDS)[index % len(KINDS)]
    rng = np.random.default_rng((seed, index))
    strength = float(rng.random())
    field = KINDS[kind](image.astype(np.float32), strength, rng)
    return kind, np.clip(np.rint(field), 0.0, 255.0).astype(np.uint8)


def _noise(field: _Field, strength: float, rng: np.random.Generator) -> _Field:
    """Independent Gaussian noise, standard deviation 20 to 100 counts, as of a sensor at high gain."""
    noisy: _Field = field + _grain(field, rng) * np.float32(_between(strength, 20.0, 100.0))
    return noisy


def _blur(field: _Field, strength: float, _: np.random.Generator) -> _Field:
    """Gaussian blur of 0.5 to 4 % of the shorter side (standard deviation), as out of focus."""
    deviation = _between(strength, 0.005, 0.04) * min(field.shape[:2])
    reach = max(1, round(3.0 * deviation))
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    weights = np.exp(-0.5 * (steps / np.float32(deviation)) ** 2)
    weights /= weights.sum()
    return _along(_along(field, weights, 0), weights, 1)


def _darkness(field: _Field, strength: float, rng: np.random.Generator) -> _Field:
    """A third down to a twentieth of the light, with the 3 counts of noise that are left of a sensor's own."""
    dark: _Field = field * np.float32(_between(strength, 1 / 3, 1 / 20)) + _grain(field, rng) * np.float32(
        3.0
    )
    return dark


def _occlusion(field: _Field, strength: float, rng: np.random.Generator) -> _Field:
    """One plain rectangle somewhere, a fifth to three fifths of each side, as a twig, a pole or dirt on the lens."""
    height, width = field.shape[:2]
    tall = max(1, round(height * _between(strength, 0.2, 0.6)))
    wide = max(1, round(width * _between(strength, 0.2, 0.6)))
    top = int(rng.integers(0, height - tall + 1))
    left = int(rng.integers(0, width - wide + 1))
    covered: _Field = field.copy()
    covered[top : top + tall, left : left + wide] = rng.integers(0, 256, 3)
    return covered


KINDS: Mapping[str, _Corruption] = MappingProxyType(
    {"noise": _noise, "blur": _blur, "darkness": _darkness, "occlusion": _occlusion}
)


def _grain(field: _Field, rng: np.random.Generator) -> _Field:
    """Standard normal numbers of the same shape."""
    grain: _Field = rng.standard_normal(field.shape, np.float32)
    return grain


def _between(strength: float, weakest: float, strongest: float) -> float:
    return weakest + strength * (strongest - weakest)


def _along(field: _Field, weights: _Field, axis: int) -> _Field:
    """Weighted mean of neighbours along one axis, edges repeated."""
    reach = len(weights) // 2
    padding = [(0, 0)] * 3
    padding[axis] = (reach, reach)
    padded = np.pad(field, padding, mode="edge")
    total = np.zeros_like(field)
    for step, weight in enumerate(weights):
        window = [slice(None)] * 3
        window[axis] = slice(step, step + field.shape[axis])
        total += weight * padded[tuple(window)]
    return total
