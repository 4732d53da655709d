"""How far a made model answers like what it was made from: the same pictures through both, on the frame path's code.

Measures only. Which deviation is too large is the caller's to say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeguard.build.pictures import Tensors
from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.perception import Perception
from edgeguard.program import SignalSpec
from edgeguard.types import Frame

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.perception import Observation
    from edgeguard.inference.session import Tensor
    from edgeguard.types import Image

Models = Mapping[str, "AdmittedModel"]
"""By role, as a guard has them."""
Labelled = tuple["Image", str, str]
"""(picture, label or empty, what to call it in a message)."""

_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "certainty": ("primary",),
        "energy": ("primary",),
        "margin": ("primary",),
        "novelty": ("primary",),
        "reconstruction": ("primary", "filter"),
        "squeezing": ("primary",),
        "disagreement": ("primary", "redundant"),
    }
)
SURE = 0.5
"""Certainty from which on an answer is more than a close call."""
SAME_PICTURE = 1.0 / 255.0
"""A filter agrees on a picture where its values differ by at most one 8-bit step in the mean."""
_NO_DEVIATIONS: Mapping[str, float] = MappingProxyType({})
_TIMED = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """How far two models, or two sets of models, answer alike on `samples` pictures."""

    samples: int
    agreement: float
    """Share of the pictures with the same class; of a filter, with the same picture (`SAME_PICTURE`)."""
    deviation: float
    """Largest difference of a probability or, of a filter, of a value of the picture."""
    sure: tuple[int, float] | None = None
    """On how many pictures the original is at least `SURE`, and the agreement on these."""
    accuracy: tuple[float, float] | None = None
    """Of the original and of the made one, where labels are known."""
    signals: Mapping[str, float] = field(default_factory=lambda: _NO_DEVIATIONS)
    """Largest difference of each signal, relative where the signal is larger than 1."""

    @property
    def accuracy_loss(self) -> float | None:
        """Below 0: the made one is right more often."""
        return None if self.accuracy is None else self.accuracy[0] - self.accuracy[1]

    @property
    def largest(self) -> float:
        """The largest difference of a probability or a signal."""
        return max((self.deviation, *self.signals.values()))

    def rows(self) -> list[str]:
        """For people: a Markdown table."""
        lines = ["| what | measured |", "|---|---|", f"| same answer | {self.agreement:.2%} |"]
        if self.sure is not None:
            count, share = self.sure
            lines.append(f"| same answer where the original is {SURE:.0%} sure | {share:.2%} of {count} |")
        lines.append(f"| largest difference of a probability or value | {self.deviation:.3g} |")
        lines += [f"| largest difference of `{name}` | {value:.3g} |" for name, value in self.signals.items()]
        if self.accuracy is not None:
            lines.append(
                f"| right answers, before and after | {self.accuracy[0]:.2%}, {self.accuracy[1]:.2%} |"
            )
        return lines


@dataclass(frozen=True, slots=True)
class _Said:
    """What one set of models said about every picture."""

    probabilities: NDArray[np.float64]
    names: tuple[str, ...]
    signals: Mapping[str, NDArray[np.float64]]


def compare(parent: Models, made: Models, pictures: Iterable[Labelled], signals: Sequence[str]) -> Measured:
    """Ask both about every picture. `signals`: the measures to compare besides the probabilities.

    Raises:
        ContractError: one of them does not answer a picture, which is named.
    """
    kept = list(pictures)
    if _is_filter(parent):
        return _filters(parent, made, kept)
    left, right = _ask(parent, kept, signals), _ask(made, kept, signals)
    labels = [label for _, label, _ in kept]
    accuracy = None
    if all(labels):
        rates = [float(np.mean([a == b for a, b in zip(said.names, labels)])) for said in (left, right)]
        accuracy = (rates[0], rates[1])
    same = np.array([a == b for a, b in zip(left.names, right.names)])
    sure = left.probabilities.max(axis=1) >= SURE
    return Measured(
        samples=len(kept),
        agreement=float(same.mean()),
        sure=(int(sure.sum()), float(same[sure].mean())) if sure.any() else None,
        deviation=float(np.abs(left.probabilities - right.probabilities).max()),
        accuracy=accuracy,
        signals={name: _apart(left.signals[name], right.signals[name]) for name in signals},
    )


def _apart(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    return float((np.abs(left - right) / np.maximum(1.0, np.abs(left))).max())


def milliseconds(sets: Sequence[Models], image: Image, signals: Sequence[str]) -> list[float]:
    """Median time (ms) of a picture through each set of models, one thread, resizing included.

    They take turns, so that a busy machine slows all of them.
    """
    times: list[list[float]] = [[] for _ in sets]
    with ExitStack() as opened:
        looks = [
            _filter(models, opened) if _is_filter(models) else _guard(models, opened, signals)
            for models in sets
        ]
        for i in range(_TIMED):
            for look, taken in zip(looks, times):
                started = time.perf_counter()
                look(image, i)
                taken.append(1e3 * (time.perf_counter() - started))
    return [median(taken) for taken in times]


def _is_filter(models: Models) -> bool:
    return models["primary"].manifest.role == "filter"


def _guard(models: Models, opened: ExitStack, signals: Sequence[str]) -> Callable[[Image, int], Observation]:
    """Looks at pictures as a guard does."""
    perception = Perception.build(models, (), time.monotonic, specs=_specs(signals))
    opened.callback(perception.close)
    return lambda image, i: perception.observe(Frame(image, i, float(i)), float(i))


def _filter(models: Models, opened: ExitStack) -> Callable[[Image, int], Tensor]:
    """Filters pictures, clipped to [0, 1]."""
    model = models["primary"]
    session = open_backend("auto", engine=model.manifest.engine).load(model)
    opened.callback(session.close)
    tensors = Tensors(model.manifest)
    return lambda image, _: np.clip(session.run(tensors(image))["image"], 0.0, 1.0)


def _ask(models: Models, pictures: Sequence[Labelled], signals: Sequence[str]) -> _Said:
    rows, names = [], []
    values: dict[str, list[float]] = {name: [] for name in signals}
    with ExitStack() as opened:
        look = _guard(models, opened, signals)
        for i, (image, _, name) in enumerate(pictures):
            seen = look(image, i)
            found = {signal.name: signal.value for signal in seen.signals}
            if seen.answer is None:
                raise ContractError(f"{name}: the models give no usable answer for this picture")
            rows.append(seen.answer.probabilities)
            names.append(seen.answer.name)
            for signal in signals:
                value = found[signal]
                if value is None:
                    raise ContractError(f"{name}: the models give no `{signal}` for this picture")
                values[signal].append(value)
    return _Said(np.array(rows), tuple(names), {name: np.array(v) for name, v in values.items()})


def _specs(signals: Sequence[str]) -> tuple[SignalSpec, ...]:
    wide = float("inf")
    return tuple(SignalSpec(name, "primary", -wide, wide, wide, of=_OF[name]) for name in signals)


def _filters(parent: Models, made: Models, pictures: Sequence[Labelled]) -> Measured:
    same, largest = [], 0.0
    with ExitStack() as opened:
        first, second = _filter(parent, opened), _filter(made, opened)
        for i, (image, _, _) in enumerate(pictures):
            apart = np.abs(first(image, i) - second(image, i))
            same.append(bool(apart.mean() <= SAME_PICTURE))
            largest = max(largest, float(apart.max()))
    return Measured(len(same), float(np.mean(same)), largest)
