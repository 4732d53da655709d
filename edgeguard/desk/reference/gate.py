"""S10: whose command acts, and how it is held inside the envelope.

Nothing here knows of triggers or signals; the fallback row comes ready (S9).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from edgeguard.policy.schema import Actuator
from edgeguard.types import Authority, GateDecision, Mode

Command = Mapping[str, float]
LARGE = 2**62
"""S10.1: the magnitude from which on an integer is no number."""


class Acts(NamedTuple):
    """S10.2: one row of the table."""

    command: Command
    gate: GateDecision
    source: Authority


class Candidates(NamedTuple):
    """S10.2: who could act. None: gives no command (S10.1), or no row holds (S9.2)."""

    suggestion: Command | None
    manual: Command | None
    fallback: Command | None
    safe: Command


def command(values: Mapping[str, object] | None, envelope: Mapping[str, Actuator]) -> Command | None:
    """S10.1: a command, or nothing."""
    if values is None or set(values) != set(envelope):
        return None
    if not all(_is_value(value) for value in values.values()):
        return None
    return {name: float(values[name]) for name in envelope}  # type: ignore[arg-type]  # numbers, as just seen


def _is_value(value: object) -> bool:
    """S10.1."""
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGE
    return isinstance(value, float) and math.isfinite(value)


def safe_command(envelope: Mapping[str, Actuator]) -> Command:
    """S10.1."""
    return {name: actuator.safe for name, actuator in envelope.items()}


def acting(mode: Mode, authority: Authority, who: Candidates) -> Acts:
    """S10.2: the first row that fits."""
    if authority is Authority.SAFE_STATE:
        return Acts(who.safe, GateDecision.BLOCK, Authority.SAFE_STATE)
    if authority is Authority.MODEL and who.suggestion is not None:
        return Acts(who.suggestion, GateDecision.ALLOW, Authority.MODEL)
    if mode is Mode.MANUAL and who.manual is not None:
        return Acts(who.manual, GateDecision.SUBSTITUTE, Authority.HUMAN)
    if who.fallback is not None:
        return Acts(who.fallback, GateDecision.SUBSTITUTE, Authority.RULES)
    return Acts(who.safe, GateDecision.SUBSTITUTE, Authority.SAFE_STATE)


def inside_envelope(
    acts: Acts, previous: Command, elapsed: float, envelope: Mapping[str, Actuator]
) -> Command:
    """S10.8 and S10.4, for every actuator by itself."""
    return {
        name: sent(actuator, for_one(actuator, acts.command[name], acts.source), previous[name], elapsed)
        for name, actuator in envelope.items()
    }


def for_one(actuator: Actuator, value: float, source: Authority) -> float:
    """S10.8."""
    return actuator.safe if source < Authority[actuator.authority.upper()] else value


def sent(actuator: Actuator, value: float, previous: float, elapsed: float) -> float:
    """S10.4: 1 to 3."""
    inside = min(max(value, actuator.min), actuator.max)
    base = min(max(previous, actuator.min), actuator.max)
    rise = math.inf if actuator.rise is None else actuator.rise
    fall = math.inf if actuator.fall is None else actuator.fall
    up = rise * elapsed if elapsed > 0 else 0.0
    down = fall * elapsed if elapsed > 0 else 0.0
    return min(max(inside, base - down), base + up)


def decision(acts: Acts, command_sent: Command) -> GateDecision:
    """S10.6."""
    changed = any(command_sent[name] != value for name, value in acts.command.items())
    return GateDecision.LIMIT if acts.gate is GateDecision.ALLOW and changed else acts.gate
