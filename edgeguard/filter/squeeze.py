"""Feature squeezing: a 2x2 median, then 5 bits a channel. What it changes much is often not the picture but an attack.

Pure numpy on canonical pictures. Keeps no state but scratch memory; never looks at a model.
Idea: Xu, Evans, Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks", NDSS 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 31
"""Steps between black and white after squeezing: 5 bits a channel."""


class Squeezer:
    """Squeezes pictures of one shape without allocating. Not for use by two threads at once."""

    __slots__ = ("_high", "_lines", "_low", "_pair_high", "_pair_low")

    def __init__(self, shape: tuple[int, ...]) -> None:
        """`shape`: (..., height, width) of the pictures, height and width at least 1."""
        self._low = np.empty(shape, np.float32)
        self._high = np.empty(shape, np.float32)
        self._pair_low = np.empty(shape, np.float32)
        self._pair_high = np.empty(shape, np.float32)
        self._lines = tuple(a.reshape(-1) for a in (self._low, self._high, self._pair_low, self._pair_high))

    def __call__(self, picture: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write squeeze(picture) to `out`; both float32 of this squeezer's shape, `picture` in [0, 1].

        The median of four is the mean of the two in the middle. With a row's neighbours sorted into (low, high),
        those two are the larger low and the smaller high of two rows. The last row and column are repeated.
        """
        low, high, pair_low, pair_high = self._low, self._high, self._pair_low, self._pair_high
        # All rows as one line: long loops are quick ones. What pairs across an edge is written over.
        line, (lows, highs, pair_lows, pair_highs) = picture.reshape(-1), self._lines
        np.minimum(line[:-1], line[1:], out=lows[:-1])
        np.maximum(line[:-1], line[1:], out=highs[:-1])
        low[..., -1] = picture[..., -1]
        high[..., -1] = picture[..., -1]
        width = picture.shape[-1]
        np.maximum(lows[:-width], lows[width:], out=pair_lows[:-width])
        np.minimum(highs[:-width], highs[width:], out=pair_highs[:-width])
        pair_low[..., -1, :] = low[..., -1, :]
        pair_high[..., -1, :] = high[..., -1, :]
        np.add(pair_low, pair_high, out=out)
        np.multiply(out, np.float32(LEVELS / 2), out=out)
        np.rint(out, out=out)
        np.multiply(out, np.float32(1 / LEVELS), out=out)


def squeeze(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """The squeezed copy of `picture`: float32 in [0, 1], shape (..., height, width)."""
    out = np.empty(picture.shape, np.float32)
    Squeezer(picture.shape)(np.asarray(picture, np.float32), out)
    return out
