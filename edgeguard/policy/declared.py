"""What a declared signal is once its defaults are filled in: kind, range, labels, direction of doubt, nominal value.

Defaults only; whether a declaration makes sense is checked in `signals`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgeguard.policy.looks import measure
from edgeguard.policy.schema import SignalDeclaration
from edgeguard.policy.sources import WORSE

Value = float | bool | str
"""What a signal can be given as: a number, a truth or a label."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A signal with nothing left to guess. `low`, `high`: inclusive range."""

    name: str
    kind: str
    """`number`, `bool` (0 or 1) or `class` (the index of a label, -1 for every other class)."""
    low: float
    high: float
    unit: str
    labels: tuple[str, ...]
    worse: str
    """`higher` or `lower`: the direction of doubt; empty: neither."""
    nominal: float
    """Its value when all is well."""


def declared(name: str, signal: SignalDeclaration) -> Declared:
    """`signal` with its defaults."""
    labels = signal.labels or ()
    low, high = limits(signal)
    worse = signal.worse or ("" if signal.type == "class" else WORSE.get(measure(name, signal), ""))
    if signal.nominal is not None:
        nominal = number(signal, signal.nominal)
    else:
        nominal = 0.0 if signal.type == "class" else _calm(low, high, worse)
    return Declared(name, signal.type, low, high, signal.unit, labels, worse, nominal)


def limits(signal: SignalDeclaration) -> tuple[float, float]:
    """The inclusive range of a signal's numbers."""
    if signal.type == "bool":
        return 0.0, 1.0
    if signal.type == "class":
        return -1.0, float(len(signal.labels or ()) - 1)
    return signal.range or (-math.inf, math.inf)


def number(signal: SignalDeclaration, value: Value) -> float:
    """The number that stands for `value`: a truth as 0 or 1, a label as its index, a word that is none as NaN."""
    if isinstance(value, str):
        labels = signal.labels or ()
        return float(labels.index(value)) if value in labels else math.nan
    return float(value)


def _calm(low: float, high: float, worse: str) -> float:
    """The end of the range that is furthest from doubt; 0, or what is nearest to it, where that end is open."""
    end = high if worse == "lower" else low
    return end if math.isfinite(end) else min(max(0.0, low), high)
