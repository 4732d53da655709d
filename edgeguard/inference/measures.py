"""Signals from looks: which looks each measure needs, and its value once they were answered. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.inference.looks import FUSED, PLAIN, PRIMARY, SQUEEZED, Found, Scores
from edgeguard.inference.session import SIGNALS
from edgeguard.signals.doubt import margin, total_variation

if TYPE_CHECKING:
    from edgeguard.program import SignalSpec

OF_ANSWER = ("certainty", "energy", "margin", "novelty", "held_for")
"""Measures of the primary's answer alone: known as soon as it is."""


class Measured(NamedTuple):
    """One signal that is taken from models."""

    name: str
    measure: str
    of: tuple[str, ...]
    source: str


def measured(specs: Sequence[SignalSpec]) -> tuple[Measured, ...]:
    """The signals of a policy that are numbers taken from models; its class signals are `labels`' business."""
    return tuple(
        Measured(spec.name, spec.measure, spec.of, spec.source)
        for spec in specs
        if spec.of and spec.kind != "class"
    )


def usual(looks: Collection[str], *, novelty: bool) -> tuple[Measured, ...]:
    """Every signal of doubt that some looks allow, where there is no policy that says which."""
    fused = FUSED in looks
    table = (
        ("certainty", "primary", (PRIMARY,), True),
        ("disagreement", "redundant", (PRIMARY, "redundant"), "redundant" in looks or fused),
        ("reconstruction", "filter", (PRIMARY, "filter"), PLAIN in looks or fused),
        ("squeezing", "primary", (PRIMARY,), SQUEEZED in looks or fused),
        ("novelty", "primary", (PRIMARY,), novelty),
    )
    return tuple(Measured(name, name, of, source) for name, source, of, made in table if made)


def needs(measure: str, of: Sequence[str], looks: Collection[str]) -> frozenset[str]:
    """The looks that a measure is taken from, given all `looks` that can be asked."""
    if FUSED in looks and (measure in SIGNALS or measure in OF_ANSWER):
        return frozenset((FUSED,))
    first = FUSED if FUSED in looks else PRIMARY
    if measure == "reconstruction":
        return frozenset((first, PLAIN))
    if measure == "squeezing":
        return frozenset((PLAIN if PLAIN in looks else first, SQUEEZED))
    return frozenset((first, *of[1:])) if measure in ("disagreement", "votes") else frozenset((first,))


def value(signal: Measured, found: Found, *, plain: bool) -> float | None:
    """The value of a measure; None: a look that it needs was not answered. Not of `held_for`, which needs a past.

    `plain`: whether the plain picture is a view of its own, as it is where there is a filter.
    """
    measure, scores = signal.measure, found.scores
    given = found.signals.get(measure)
    if given is not None:
        return given
    answer = scores.get(PRIMARY)
    if measure == "squeezing":
        return _between(scores.get(PLAIN) if plain else answer, scores.get(SQUEEZED))
    if answer is None:
        return None
    if measure == "certainty":
        return min(1.0, float(answer.probabilities.max()))
    if measure == "disagreement":
        return _between(answer, scores.get(signal.of[1]))
    if measure == "reconstruction":
        return _between(scores.get(PLAIN), answer)
    return votes(scores, signal.of) if measure == "votes" else _of_answer(measure, answer)


def votes(found: Mapping[str, Scores], of: Sequence[str]) -> float | None:
    """How many of the models `of` give the label of the first of them; None: one of them did not answer."""
    labels = [int(found[role].probabilities.argmax()) for role in of if role in found]
    return float(labels.count(labels[0])) if len(labels) == len(of) else None


def _of_answer(measure: str, answer: Scores) -> float | None:
    if measure == "energy":
        return answer.energy
    return margin(answer.probabilities) if measure == "margin" else answer.novelty


def _between(left: Scores | None, right: Scores | None) -> float | None:
    if left is None or right is None:
        return None
    return total_variation(left.probabilities, right.probabilities)
