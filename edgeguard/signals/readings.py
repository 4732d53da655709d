"""From signals to readings: is each declared signal present, a number, in its range and fresh right now?

Pure and total: bad data becomes a status, never an exception and never PASS. Knows no rule and no threshold.
"""

from __future__ import annotations

import math
from numbers import Real
from typing import TYPE_CHECKING

from edgeguard.types import Reading, Signal, Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgeguard.program import SignalSpec

CLOCK_SLACK = 0.001
"""How far in the future (s) a signal may lie before it is refused: two clocks read in turn may differ by this."""

_NAN = math.nan


def readings(
    specs: Sequence[SignalSpec], signals: Mapping[str, Signal], now: float
) -> tuple[tuple[float, ...], tuple[bool, ...], tuple[Reading, ...]]:
    """Check each signal that `specs` declares, in their order, at time `now` (s).

    Returns (values, healthy, readings). A value is NaN where the signal has none; it must not be read where
    `healthy` is False. First match: no signal or no value -> UNKNOWN; not a finite number or outside its inclusive
    range, or no whole number where the kind wants one -> FAIL; older than `max_age`, or from more than `CLOCK_SLACK` in
    the future -> STALE; else PASS.
    """
    values: list[float] = []
    healthy: list[bool] = []
    rows: list[Reading] = []
    for spec in specs:
        signal = signals.get(spec.name)
        if signal is None or signal.value is None:
            age = math.inf if signal is None else now - number(signal.at)
            values.append(_NAN)
            healthy.append(False)
            rows.append(Reading(spec.name, None, age, Status.UNKNOWN))
            continue
        value = (
            signal.value if type(signal.value) is float else number(signal.value, truth=spec.kind == "bool")
        )
        age = now - (signal.at if type(signal.at) is float else number(signal.at))
        if not (spec.low <= value <= spec.high and math.isfinite(value)) or (
            spec.whole and not value.is_integer()
        ):
            status = Status.FAIL
        elif not -CLOCK_SLACK <= age <= spec.max_age:  # false for NaN, so an age of NaN is stale
            status = Status.STALE
        else:
            status = Status.PASS
        values.append(value)
        healthy.append(status is Status.PASS)
        rows.append(Reading(spec.name, value, age, status))
    return tuple(values), tuple(healthy), tuple(rows)


def number(value: object, *, truth: bool = False) -> float:
    """`value` as a float; NaN for what is not a real number. A truth value is one only where `truth` is wanted."""
    if (isinstance(value, bool) and not truth) or not isinstance(value, Real):
        return _NAN
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return _NAN
