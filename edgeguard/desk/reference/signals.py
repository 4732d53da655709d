"""S2: what a value and its age say about a signal's health.

Nothing here remembers a value: that is the runtime's (S2.8).
"""

from __future__ import annotations

import math
from numbers import Real
from typing import NamedTuple

from edgeguard.policy.schema import SignalDeclaration
from edgeguard.types import Status

AHEAD = 0.001
"""S2.4: seconds that a signal may come from the future."""


class Seen(NamedTuple):
    """S1.2: a value and the time when it was true (s). `value` None: it has none."""

    value: object
    at: object


def status(name: str, signal: SignalDeclaration, seen: Seen | None, now: float) -> Status:
    """S2.3: the first row that fits."""
    if seen is None or seen.value is None:
        return Status.UNKNOWN
    value = number(seen.value, signal.type)
    if not possible(name, signal, value):
        return Status.FAIL
    age = now - number(seen.at, "number")
    return Status.PASS if -AHEAD <= age <= signal.max_age else Status.STALE


def healthy_value(name: str, signal: SignalDeclaration, seen: Seen | None, now: float) -> float | None:
    """S2.5: the value of a healthy signal; None at fault."""
    if seen is None or status(name, signal, seen, now) is not Status.PASS:
        return None
    return number(seen.value, signal.type)


def number(value: object, kind: str) -> float:
    """S2.1: the nearest double; what is not a number is NaN."""
    if isinstance(value, bool):
        return float(value) if kind == "bool" else math.nan
    if not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf  # or the other one: neither is a value (S2.3)


def possible(name: str, signal: SignalDeclaration, value: float) -> bool:
    """S2.3, the row of `FAIL`, the other way round."""
    low, high = limits(signal)
    if not math.isfinite(value) or value < low or value > high:
        return False
    counts = signal.type != "number" or (signal.of is not None and "votes" in (name, signal.measure))
    return not counts or value == math.floor(value)


def limits(signal: SignalDeclaration) -> tuple[float, float]:
    """S2.6: the range of each type."""
    if signal.type == "bool":
        return (0.0, 1.0)
    if signal.type == "class":
        return (-1.0, float(len(signal.labels or ()) - 1))
    return signal.range or (-math.inf, math.inf)
