"""The frame path's own arithmetic as ONNX operators: normalising, squeezing, probabilities, doubt.

Each function says which function it repeats; tests hold the two together. What is no sane number becomes NaN, which
the host refuses: a broken model stays broken when it is fused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.filter.squeeze import LEVELS
from edgeguard.signals.doubt import LARGEST

if TYPE_CHECKING:
    from edgeguard.admission import InputSpec
    from edgeguard.build.graph import Weaver

_FAR = 2**31
_SUM_SLACK = 1e-2
_FLOOR = 1e-30


def normalise(weaver: Weaver, picture: str, spec: InputSpec) -> str:
    """`preprocess.Normaliser`: canonical pictures (rows, 3, h, w) as one model's tensor."""
    std = np.asarray(spec.std, np.float64).reshape(3, 1, 1)
    gain = 255.0 * spec.scale / std
    offset = -np.asarray(spec.mean, np.float64).reshape(3, 1, 1) / std
    tensor = _swapped(weaver, picture) if spec.color == "BGR" else picture
    if not (np.all(np.abs(gain - 1.0) < 1e-9) and np.all(offset == 0.0)):
        tensor = weaver.op("Mul", tensor, weaver.constant(gain))
        tensor = weaver.op("Add", tensor, weaver.constant(offset))
    return weaver.op("Transpose", tensor, perm=[0, 2, 3, 1]) if spec.layout == "NHWC" else tensor


def canonical(weaver: Weaver, image: str, spec: InputSpec) -> str:
    """`preprocess.Normaliser.canonical`, clipped to [0, 1]: what a filter gave as canonical pictures."""
    tensor = weaver.op("Transpose", image, perm=[0, 3, 1, 2]) if spec.layout == "NHWC" else image
    tensor = _swapped(weaver, tensor) if spec.color == "BGR" else tensor
    return weaver.op("Clip", tensor, weaver.constant(0.0), weaver.constant(1.0))


def squeeze(weaver: Weaver, picture: str, size: tuple[int, int]) -> str:
    """`filter.squeeze.Squeezer` to the last bit: the 2x2 median, the last row and column repeated, then 5 bits."""
    right = _shifted(weaver, picture, 3, size[1])
    low, high = weaver.op("Min", picture, right), weaver.op("Max", picture, right)
    first = weaver.op("Max", low, _shifted(weaver, low, 2, size[0]))
    second = weaver.op("Min", high, _shifted(weaver, high, 2, size[0]))
    twice = weaver.op("Add", first, second)
    steps = weaver.op("Round", weaver.op("Mul", twice, weaver.constant(np.float32(LEVELS / 2))))
    return weaver.op("Mul", steps, weaver.constant(np.float32(1 / LEVELS)))


def log_scores(weaver: Weaver, scores: str, *, logits: bool) -> str:
    """What softmax is taken of in `signals.doubt.probabilities`: logits as they are, probabilities by their logarithm.

    NaN in a row that are no probabilities.
    """
    if logits:
        return scores
    total = weaver.reduce("ReduceSum", scores, keep=True)
    off = weaver.op("Abs", weaver.op("Sub", total, weaver.constant(1.0)))
    whole = weaver.op("LessOrEqual", off, weaver.constant(_SUM_SLACK))
    least = weaver.reduce("ReduceMin", scores, keep=True)
    positive = weaver.op("GreaterOrEqual", least, weaver.constant(-_SUM_SLACK))
    logs = weaver.op("Log", weaver.op("Max", scores, weaver.constant(_FLOOR)))
    return weaver.op("Add", logs, _nan_unless(weaver, weaver.op("And", whole, positive)))


def softmax(weaver: Weaver, scores: str, temperatures: Sequence[float]) -> tuple[str, str]:
    """(scores over temperature, probabilities), (rows, classes) each, with one temperature a row.

    As `signals.doubt.probabilities`; NaN in a row with a score that is not sane.
    """
    size = weaver.reduce("ReduceMax", weaver.op("Abs", scores), keep=True)
    sane = weaver.op("LessOrEqual", size, weaver.constant(LARGEST))
    factors = [[1.0 / temperature] for temperature in temperatures]
    scaled = weaver.op("Mul", scores, weaver.constant(factors))
    return scaled, weaver.op("Add", weaver.op("Softmax", scaled, axis=1), _nan_unless(weaver, sane))


def energy(weaver: Weaver, scaled: str, temperature: float) -> str:
    """`signals.doubt.energies`: (rows, 1) of the logits over the temperature."""
    return weaver.op(
        "Mul", weaver.reduce("ReduceLogSumExp", scaled, keep=True), weaver.constant(-temperature)
    )


def certainty_and_margin(weaver: Weaver, answer: str) -> tuple[str, str]:
    """The largest probability of a row (1, classes), and how far it is from the second: (1, 1) each."""
    top, _ = weaver.op_of("TopK", [answer, weaver.constant([2], "int64")], 2, axis=1, largest=1, sorted=1)
    both = weaver.op("MatMul", top, weaver.constant([[1.0, 1.0], [0.0, -1.0]]))
    certainty, margin = weaver.split(weaver.op("Min", both, weaver.constant(1.0)), 1, 2)
    return certainty, margin


def total_variations(weaver: Weaver, rows: str, count: int, pairs: Sequence[tuple[int, int]]) -> list[str]:
    """`signals.doubt.total_variation` between pairs of the `count` rows: (1, 1) each."""
    halves = np.zeros((len(pairs), count), np.float32)
    for i, (left, right) in enumerate(pairs):
        halves[i, left], halves[i, right] = 0.5, -0.5
    apart = weaver.reduce("ReduceL1", weaver.op("MatMul", weaver.constant(halves), rows), keep=True)
    return weaver.split(weaver.op("Min", apart, weaver.constant(1.0)), 0, len(pairs))


def row(weaver: Weaver, tensor: str, index: int) -> str:
    """Row `index` of a tensor, still with its first axis."""
    return _cut(weaver, tensor, 0, index, index + 1)


def _nan_unless(weaver: Weaver, truth: str) -> str:
    return weaver.op("Where", truth, weaver.constant(0.0), weaver.constant(math.nan))


def _swapped(weaver: Weaver, picture: str) -> str:
    return weaver.op("Gather", picture, weaver.constant([2, 1, 0], "int64"), axis=1)


def _shifted(weaver: Weaver, picture: str, axis: int, size: int) -> str:
    """The picture moved one step along an axis, its last line repeated."""
    rest, last = _cut(weaver, picture, axis, 1, _FAR), _cut(weaver, picture, axis, size - 1, _FAR)
    return weaver.op("Concat", rest, last, axis=axis)


def _cut(weaver: Weaver, tensor: str, axis: int, first: int, last: int) -> str:
    limits = [weaver.constant([value], "int64") for value in (first, last, axis)]
    return weaver.op("Slice", tensor, *limits)
