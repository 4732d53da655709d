"""Signals from looks: which looks each measure needs, and its value once they were answered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from edgeguard.inference.looks import FUSED, PLAIN, PRIMARY, SQUEEZED, Found, Scores
from edgeguard.inference.session import SIGNALS
from edgeguard.program import OF_ANSWER
from edgeguard.signals.doubt import margin, total_variation

if TYPE_CHECKING:
    from edgeguard.program import SignalSpec


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
    if (measure in OF_ANSWER and FUSED in looks) or _is_fused(measure, of, looks):
        return frozenset((FUSED,))
    first = FUSED if FUSED in looks else PRIMARY
    if measure == "reconstruction":
        return frozenset((first, PLAIN))
    if measure == "squeezing":
        return frozenset((PLAIN if PLAIN in looks else first, SQUEEZED))
    return frozenset((first, *of[1:]))


Getter = Callable[[Found], "float | None"]
"""What was found -> the value of one measure; None: a look that it needs was not answered."""


def getter(signal: Measured, looks: Collection[str]) -> Getter:
    """How a signal's value is had, given all `looks` that can be asked. Not of `held_for`, which needs a past."""
    measure = signal.measure
    if _is_fused(measure, signal.of, looks):
        return lambda found: found.signals.get(measure)
    read = _READERS.get(measure)
    if read is not None:
        return _of_answer(read)
    if measure == "votes":
        return lambda found: votes(found.scores, signal.of)
    if measure == "disagreement":
        return _between(PRIMARY, signal.of[1])
    if measure == "reconstruction":
        return _between(PLAIN, PRIMARY)
    return _between(PLAIN if PLAIN in looks else PRIMARY, SQUEEZED)


def _is_fused(measure: str, of: Sequence[str], looks: Collection[str]) -> bool:
    """Whether a fused graph gives the measure: also of a redundant model, unless that is one beside the graph."""
    beside = measure == "disagreement" and of[1] in looks
    return FUSED in looks and measure in SIGNALS and not beside


def votes(found: Mapping[str, Scores], of: Sequence[str]) -> float | None:
    """How many of the models `of` give the label of the first of them; None: one of them did not answer."""
    labels = [int(found[role].probabilities.argmax()) for role in of if role in found]
    return float(labels.count(labels[0])) if len(labels) == len(of) else None


def _of_answer(read: Callable[[Scores], float | None]) -> Getter:
    def get(found: Found) -> float | None:
        answer = found.scores.get(PRIMARY)
        return None if answer is None else read(answer)

    return get


def _certainty(scores: Scores) -> float:
    return min(1.0, float(scores.probabilities.max()))


_READERS: Mapping[str, Callable[[Scores], float | None]] = {
    "certainty": _certainty,
    "energy": lambda scores: scores.energy,
    "margin": lambda scores: margin(scores.probabilities),
    "novelty": lambda scores: scores.novelty,
}


def _between(first: str, second: str) -> Getter:
    """The total variation between two looks."""

    def distance(found: Found) -> float | None:
        left, right = found.scores.get(first), found.scores.get(second)
        if left is None or right is None:
            return None
        return total_variation(left.probabilities, right.probabilities)

    return distance
