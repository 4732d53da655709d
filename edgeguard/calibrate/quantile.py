"""Thresholds that a stated share of clean frames crosses at most, from a finite number of them. Pure arithmetic.

With n clean frames that are exchangeable with the next one, the next value is beyond the r-th most extreme of them with
probability at most r / (n + 1). So the threshold is the r-th most extreme, r = floor((n + 1) * share): the plain
quantile, made safe by counting the frame that is still to come (the conformal + 1). Where k models take turns on each
frame, all k values of a frame count, each as a k-th, and those of the frame to come count as beyond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_ROUNDING = 1e-9
"""Keeps (n + 1) * share from falling below a whole number by binary rounding alone."""

_HALVINGS = 60
"""More change nothing in a float between 0 and 1."""


def rank(frames: int, share: float, turns: int = 1) -> int:
    """How many of the values may lie at or beyond the threshold; 0: too few frames for so small a share.

    `turns`: values of each frame, of which one counts at a time, each as often as the others.
    """
    allowed = (frames + 1) * share - 1.0
    return math.floor(allowed * turns + _ROUNDING) + 1 if allowed > -_ROUNDING else 0


def frames_needed(share: float) -> int:
    """Fewest frames from which a threshold for `share` can be taken."""
    return math.ceil(1.0 / share - _ROUNDING) - 1


def at_most(count: int, trials: int, confidence: float) -> float:
    """Upper bound on a probability, after `count` of `trials` independent ones had it.

    One-sided Clopper-Pearson (Clopper & Pearson 1934): the largest probability under which so few are still seen with
    probability 1 - `confidence`. 1 where nothing was tried.
    """
    low, high = 0.0, 1.0
    if count >= trials:
        return 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _at_most(count, trials, middle) > 1.0 - confidence:
            low = middle
        else:
            high = middle
    return high


def at_least(count: int, trials: int, confidence: float) -> float:
    """Lower bound on a probability: `at_most` seen from the other side. 0 where nothing was tried."""
    return 1.0 - at_most(trials - count, trials, confidence)


def loss_at_most(lost: int, gained: int, trials: int, confidence: float) -> float:
    """Upper bound on P(lost) - P(gained), two things of which at most one happens in each of `trials`.

    Half of the error goes to each bound (Bonferroni), so that whatever their correlation both hold at once. 1 where
    nothing was tried.
    """
    each = (1.0 + confidence) / 2
    return at_most(lost, trials, each) - at_least(gained, trials, each)


def _at_most(successes: int, trials: int, probability: float) -> float:
    """P(X <= successes) of a binomial X: the shorter tail, summed in logarithms, because the terms underflow."""
    if successes < trials - successes:
        return _sum(range(successes + 1), trials, probability)
    return 1.0 - _sum(range(successes + 1, trials + 1), trials, probability)


def _sum(counts: range, trials: int, probability: float) -> float:
    """P(X in counts) of a binomial X."""
    log_p, log_q = math.log(probability), math.log1p(-probability)
    terms = [
        math.lgamma(trials + 1)
        - math.lgamma(k + 1)
        - math.lgamma(trials - k + 1)
        + k * log_p
        + (trials - k) * log_q
        for k in counts
    ]
    largest = max(terms, default=0.0)
    return math.exp(largest) * math.fsum(math.exp(term - largest) for term in terms)


def upper(values: Sequence[float], share: float, turns: int = 1) -> float:
    """The value that at most `share` of frames will exceed. Needs `rank(frames, share, turns)` of at least 1.

    `values`: `turns` of each frame.
    """
    return sorted(values)[len(values) - rank(len(values) // turns, share, turns)]


def lower(values: Sequence[float], share: float, turns: int = 1) -> float:
    """The value that at most `share` of frames will fall below. Otherwise as `upper`."""
    return sorted(values)[rank(len(values) // turns, share, turns) - 1]
