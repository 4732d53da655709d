"""The model's answer as a signal of kind `class`: which of the labels that the policy tells apart it is.

Pure. A label is the class's name in lower case with `_` for everything that is no letter or digit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from edgeguard.types import Answer, Signal

if TYPE_CHECKING:
    from edgeguard.program import SignalSpec

OTHER = -1.0
"""The value of every class that the policy has no label for."""

_JOINER = re.compile(r"[^a-z0-9]+")


def label(name: str) -> str:
    """The label of a class: `Speed limit 30` is `speed_limit_30`."""
    return _JOINER.sub("_", name.lower()).strip("_")


def unknown(specs: Iterable[SignalSpec], classes: Sequence[str]) -> tuple[str, ...]:
    """Labels of the primary's specs that are no class of it, or of more than one: they would never be seen, or mislead.

    A class `from: context` is the integrator's: its labels are no classes of any model.
    """
    known = [label(name) for name in classes]
    own = (spec for spec in specs if spec.source == "primary")
    return tuple(name for spec in own for name in spec.labels if known.count(name) != 1)


class Labels:
    """Turns answers into the class signals of one policy."""

    def __init__(self, specs: Sequence[SignalSpec]) -> None:
        self._values = {
            spec.name: {name: float(i) for i, name in enumerate(spec.labels)}
            for spec in specs
            if spec.kind == "class" and spec.source == "primary"
        }

    def signals(self, answer: Answer | None, at: float) -> tuple[Signal, ...]:
        """One signal a class signal of the policy; without an answer it has no value."""
        if not self._values:
            return ()
        name = None if answer is None else label(answer.name)
        return tuple(
            Signal(signal, None if name is None else values.get(name, OTHER), at, "primary")
            for signal, values in self._values.items()
        )
