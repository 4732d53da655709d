"""Health of the picture itself: how old it is, how long it has not changed, whether it shows anything.

Time comes with the frame: no clock is read. The only state is the picture that the current stillness began with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STILL = 0.25
"""Mean absolute difference (counts of 255) below which two pictures are the same: any live sensor's noise is above."""

SAMPLES = 4_096
"""Most values looked at a frame; larger pictures are sampled on a regular grid of whole pixels."""


class Health(NamedTuple):
    """Health of one frame."""

    contrast: float
    """Standard deviation of the picture / 127.5, [0, 1]; near 0: blank."""
    frozen_for: float | None
    """How long (s) the picture has not changed, at this frame's time; None when time did not go forward."""


class FrameHealth:
    """Steps over the frames of one camera. Compares with the picture the stillness began with, not with the last
    one, so a picture that changes slowly is not called frozen."""

    __slots__ = ("_anchor", "_scratch", "_since", "_values")

    def __init__(self) -> None:
        self._since = math.nan
        self._anchor = np.empty(0, np.float32)
        self._values = np.empty(0, np.float32)
        self._scratch = np.empty(0, np.float32)

    def step(self, image: NDArray[np.uint8], at: float) -> Health:
        """Take the next frame. `image`: uint8, (height, width, 3); `at`: its capture time (s)."""
        sample = _sample(image)
        if self._values.shape != sample.shape:
            self._values = np.empty(sample.shape, np.float32)
            self._scratch = np.empty(sample.shape, np.float32)
        values = self._values
        np.copyto(values, sample)
        count = values.size
        flat = values.reshape(-1)
        mean = float(np.add.reduce(flat)) / count
        contrast = math.sqrt(max(0.0, float(np.dot(flat, flat)) / count - mean * mean)) / 127.5
        if not self._still(values):
            self._anchor, self._values = values, self._anchor
            self._since = at
        stood = at - self._since
        return Health(min(contrast, 1.0), stood if stood >= 0.0 else None)

    def _still(self, values: NDArray[np.float32]) -> bool:
        """Whether `values` show the picture that the stillness began with."""
        if self._anchor.shape != values.shape:
            return False
        np.subtract(values, self._anchor, out=self._scratch)
        np.abs(self._scratch, out=self._scratch)
        return bool(np.add.reduce(self._scratch, axis=None) < STILL * values.size)


def frame_age(at: float, now: float) -> float:
    """Age (s) of a frame captured at `at`. Negative when it comes from the future: `readings` refuses that."""
    return now - at


def _sample(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, or whole pixels of it on a regular grid, so that at most about `SAMPLES` values remain."""
    if image.size <= SAMPLES:
        return image
    step = math.ceil(math.sqrt(image.size / SAMPLES))
    return image[::step, ::step]
