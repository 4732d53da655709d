"""Thresholds that a stated share of clean frames crosses at most, from a finite number of them. Pure arithmetic.

With n clean frames that are exchangeable with the next one, the next value is beyond the r-th most extreme of them with
probability at most r / (n + 1). So the threshold is the r-th most extreme, r = floor((n + 1) * share): the plain
quantile, made safe by counting the frame that is still to come (the conformal + 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-9
"""Keeps (n + 1) * share from falling below a whole number by binary rounding alone."""


def rank(frames: int, share: float) -> int:
    """How many of `frames` may lie at or beyond the threshold; 0: too few frames for so small a share."""
    return math.floor((frames + 1) * share + _ROUNDING)


def frames_needed(share: float) -> int:
    """Fewest frames from which a threshold for `share` can be taken."""
    return math.ceil(1.0 / share - _ROUNDING) - 1


def upper(values: Sequence[float], share: float) -> float:
    """The value that at most `share` of frames will exceed. Needs `rank(len(values), share)` of at least 1."""
    return sorted(values)[len(values) - rank(len(values), share)]


def lower(values: Sequence[float], share: float) -> float:
    """The value that at most `share` of frames will fall below. Needs `rank(len(values), share)` of at least 1."""
    return sorted(values)[rank(len(values), share) - 1]
