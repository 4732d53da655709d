"""What a trigger demands over the time that it has been active, and whether another always demands as much.

Arithmetic over declared rows; the solver is not asked.
"""

from __future__ import annotations

from edgeguard.decision.table import RuleRow, Span
from edgeguard.types import Authority


def demand(row: RuleRow, active: float) -> Authority:
    """What a row demands when it has been active for so long (s)."""
    return row.otherwise if row.then is Authority.HUMAN and active >= row.within else row.then


def most(row: RuleRow) -> Authority:
    """The most that a row ever demands."""
    return max(row.then, demand(row, row.within))


def least(row: RuleRow) -> Authority:
    """The least that a row ever demands while it is active."""
    return min(row.then, demand(row, row.within))


def covers(one: RuleRow, other: RuleRow) -> bool:
    """Whether `one`, active at least as long as `other`, demands at least as much at every time."""
    times = _turns(one, other)
    return all(
        demand(one, later) >= demand(other, time) for time in times for later in times if later >= time
    )


def covers_in_step(one: RuleRow, other: RuleRow) -> bool:
    """Whether `one`, active exactly as long as `other`, demands at least as much at every time."""
    return all(demand(one, time) >= demand(other, time) for time in _turns(one, other))


def _turns(one: RuleRow, other: RuleRow) -> list[float]:
    """The times (s) between which neither changes what it demands."""
    return sorted({0.0, one.within, other.within})


def no_longer(one: Span, other: Span) -> bool:
    """Whether whatever lasted for `other` lasted for `one`, too. Frames and seconds have no order: cameras stop."""
    return one.frames <= other.frames and one.seconds <= other.seconds
