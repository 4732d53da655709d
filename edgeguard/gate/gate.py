"""The gate: whose command goes to the actuators, and how far it may go.

Pure: no clock, no port. Allow-list only: a command that is incomplete, names an undeclared actuator or is not a
number is not a command, and bad input can only remove authority.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from edgeguard.program import ActuatorLimit, FallbackRow
from edgeguard.types import Authority, Command, GateDecision, Mode

_LARGEST = 1 << 62
"""A whole number of this size or more is no command: much larger ones cannot be made floats."""


class Gated(NamedTuple):
    """What goes out, what the gate did, and on whose authority the line carries it."""

    command: Command
    decision: GateDecision
    source: Authority


def safe_command(envelope: tuple[ActuatorLimit, ...]) -> Command:
    """Every actuator at its declared safe value."""
    return Command({limit.name: limit.safe for limit in envelope})


def is_command(envelope: tuple[ActuatorLimit, ...], values: Mapping[str, float] | None) -> bool:
    """True when `values` has a finite number for exactly the declared actuators."""
    if values is None or len(values) != len(envelope):
        return False
    return all(_is_number(values.get(limit.name)) for limit in envelope)


def gate(
    envelope: tuple[ActuatorLimit, ...],
    fallback: tuple[FallbackRow, ...],
    *,
    mode: Mode,
    authority: Authority,
    suggested: Mapping[str, float] | None,
    manual: Mapping[str, float] | None,
    chosen: int,
    previous: Command,
    elapsed: float,
) -> Gated:
    """Choose the acting command and hold it inside the envelope.

    `chosen`: index of the fallback rule that holds, anything else: the safe command. `previous`: the command last
    sent (inside the envelope). `elapsed`: time since then (s); not a number or negative counts as 0.
    """
    values, decision, source = _choose(envelope, fallback, mode, authority, suggested, manual, chosen)
    limited = {
        limit.name: hold(
            limit, allowed(limit, values, source), previous.values.get(limit.name, limit.safe), elapsed
        )
        for limit in envelope
    }
    if decision is GateDecision.ALLOW and limited != values:
        decision = GateDecision.LIMIT
    return Gated(Command(limited), decision, source)


def _choose(
    envelope: tuple[ActuatorLimit, ...],
    fallback: tuple[FallbackRow, ...],
    mode: Mode,
    authority: Authority,
    suggested: Mapping[str, float] | None,
    manual: Mapping[str, float] | None,
    chosen: int,
) -> tuple[Mapping[str, float], GateDecision, Authority]:
    if authority is Authority.SAFE_STATE:
        return safe_command(envelope).values, GateDecision.BLOCK, Authority.SAFE_STATE
    if authority is Authority.MODEL and suggested is not None and is_command(envelope, suggested):
        return suggested, GateDecision.ALLOW, Authority.MODEL
    if mode is Mode.MANUAL and manual is not None and is_command(envelope, manual):
        return manual, GateDecision.SUBSTITUTE, Authority.HUMAN
    if 0 <= chosen < len(fallback) and is_command(envelope, fallback[chosen].command.values):
        return fallback[chosen].command.values, GateDecision.SUBSTITUTE, Authority.RULES
    return safe_command(envelope).values, GateDecision.SUBSTITUTE, Authority.SAFE_STATE


def allowed(limit: ActuatorLimit, values: Mapping[str, float], source: Authority) -> float:
    """Return the value for one actuator: its safe one where the policy does not let `source` act on it."""
    return values[limit.name] if source >= limit.authority else limit.safe


def hold(limit: ActuatorLimit, value: float, previous: float, elapsed: float) -> float:
    """`value` moved into [low, high] and no further from `previous` than the slew rates allow in `elapsed` s."""
    inside = min(max(value, limit.low), limit.high)
    base = min(max(previous, limit.low), limit.high)
    # `elapsed > 0` is false for a NaN; 0 * inf would be one
    up = limit.rise * elapsed if elapsed > 0 else 0.0
    down = limit.fall * elapsed if elapsed > 0 else 0.0
    return min(max(inside, base - down), base + up)


def _is_number(value: object) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return -_LARGEST < value < _LARGEST
    return isinstance(value, float) and math.isfinite(value)
