"""The model's answer as a signal of kind `class`: which of the labels that the policy tells apart it is.

Pure. A label is the class's name in lower case with `_` for everything that is no letter or digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgeguard.types import Answer, Signal

if TYPE_CHECKING:
    from edgeguard.program import SignalSpec

OTHER = -1.0
"""The value of every class that the policy has no label for."""

PRIMARY = "primary"

_JOINER = re.compile(r"[^a-z0-9]+")


def label(name: str) -> str:
    """The label of a class: `Speed limit 30` is `speed_limit_30`."""
    return _JOINER.sub("_", name.lower()).strip("_")


def unknown(specs: Iterable[SignalSpec], classes: Sequence[str]) -> tuple[str, ...]:
    """Labels of the models' specs that are no class of theirs, or of several: they would never be seen, or mislead.

    A class `from: context` is the integrator's: its labels are no classes of any model.
    """
    known = [label(name) for name in classes]
    own = (spec for spec in specs if spec.of or spec.source == PRIMARY)
    return tuple(name for spec in own for name in spec.labels if known.count(name) != 1)


class Labels:
    """Turns the classes that models name into the class signals of one policy."""

    def __init__(self, specs: Sequence[SignalSpec]) -> None:
        own = [spec for spec in specs if spec.kind == "class" and (spec.of or spec.source == PRIMARY)]
        self._values = {spec.name: {name: float(i) for i, name in enumerate(spec.labels)} for spec in own}
        self._sources = {spec.name: spec.source for spec in own}
        self._answers = tuple(spec.name for spec in own if not spec.of or spec.of[0] == PRIMARY)

    def signals(self, answer: Answer | None, at: float) -> tuple[Signal, ...]:
        """One signal a class signal of the primary; without an answer it has no value."""
        name = None if answer is None else answer.name
        return tuple(self._signal(signal, name, at) for signal in self._answers)

    def named(self, names: Mapping[str, tuple[str | None, float]]) -> tuple[Signal, ...]:
        """The class signals of further models, from (class or None, time) by signal."""
        return tuple(self._signal(signal, name, at) for signal, (name, at) in names.items())

    def _signal(self, signal: str, name: str | None, at: float) -> Signal:
        value = None if name is None else self._values[signal].get(label(name), OTHER)
        return Signal(signal, value, at, self._sources[signal])
