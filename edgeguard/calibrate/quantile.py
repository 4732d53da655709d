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


def wrong_at_most(wrong: int, accepted: int, confidence: float) -> float:
    """Bound on the probability that an accepted answer is wrong, after `wrong` of `accepted` independent ones were.

    One-sided Clopper-Pearson (Clopper & Pearson 1934): the largest probability under which so few wrong ones are still
    seen with probability 1 - `confidence`. 1 where nothing was accepted.
    """
    low, high = 0.0, 1.0
    if wrong >= accepted:
        return 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if _at_most(wrong, accepted, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(successes: int, trials: int, probability: float) -> float:
    """P(X <= successes) of a binomial X; in logarithms, because the terms underflow."""
    log_p, log_q = math.log(probability), math.log1p(-probability)
    terms = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * log_p
        + (trials - k) * log_q
        for k in range(successes + 1)
    ]
    largest = max(terms)
    return math.exp(largest) * math.fsum(math.exp(term - largest) for term in terms)


def upper(values: Sequence[float], share: float) -> float:
    """The value that at most `share` of frames will exceed. Needs `rank(len(values), share)` of at least 1."""
    return sorted(values)[len(values) - rank(len(values), share)]


def lower(values: Sequence[float], share: float) -> float:
    """The value that at most `share` of frames will fall below. Needs `rank(len(values), share)` of at least 1."""
    return sorted(values)[rank(len(values), share) - 1]
