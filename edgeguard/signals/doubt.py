"""Doubt in an answer: class probabilities at a temperature, and how far two answers lie apart.

Pure functions of arrays. They refuse what is not a probability by returning None; they never raise on bad data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 1e6
"""Largest size of a logit: beyond it a model is broken, and float32 would overflow on the way to a probability."""

_SUM_SLACK = 1e-2
"""How far a row of declared probabilities may sum from 1: room for float16 and int8 graphs."""

_FLOOR = np.float32(1e-30)
"""Smallest probability that is taken a logarithm of."""


def probabilities(
    scores: NDArray[np.float32], temperature: float, *, logits: bool = True
) -> NDArray[np.float32] | None:
    """Softmax of `scores` at `temperature`, row by row; None when any score is not a sane number.

    `scores`: (rows, classes), logits or (with `logits` False) probabilities, which are checked to be such and
    sharpened or softened by the same temperature. `temperature`: > 0, 1 leaves the model as it is.
    """
    if not np.maximum.reduce(np.abs(scores), axis=None) <= LARGEST:  # false for NaN too
        return None
    if not logits:
        if not (scores.min() >= -_SUM_SLACK and np.abs(scores.sum(axis=1) - 1.0).max() <= _SUM_SLACK):
            return None
        scores = np.log(np.maximum(scores, _FLOOR))
    spread: NDArray[np.float32] = np.exp(
        (scores - np.maximum.reduce(scores, axis=1, keepdims=True)) * np.float32(1.0 / temperature)
    )
    spread /= np.add.reduce(spread, axis=1, keepdims=True)
    return spread


def energies(logits: NDArray[np.float32], temperature: float) -> list[float]:
    """Free energy of each row, -T log sum exp(logit / T): low where the model has seen such pictures.

    `logits`: (rows, classes), finite. Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
    """
    top = np.maximum.reduce(logits, axis=1, keepdims=True)
    spread = np.add.reduce(np.exp((logits - top) * np.float32(1.0 / temperature)), axis=1)
    free: list[float] = (-(top[:, 0] + np.float32(temperature) * np.log(spread))).tolist()
    return free


def margin(probabilities: NDArray[np.float32]) -> float:
    """By how much the likeliest class leads the next, [0, 1]. `probabilities`: (classes,), at least two."""
    second, first = np.partition(probabilities, -2)[-2:]
    return max(0.0, min(1.0, float(first) - float(second)))


def total_variation(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Total variation distance of two distributions over the same classes: 0 the same, 1 disjoint."""
    return min(1.0, 0.5 * float(np.add.reduce(np.abs(left - right))))
