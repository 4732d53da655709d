"""S5 and S6: how a trigger becomes active, how it clears, and what it then demands.

One trigger at a time; nothing here knows of another, nor of the table of modes.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeguard.desk.reference.conditions import Truth
from edgeguard.desk.reference.rows import Row, Span
from edgeguard.types import Authority


@dataclass(frozen=True, slots=True)
class Run:
    """S5.1: the time of the step in which it began, and the frames counted in it."""

    begin: float
    frames: int


@dataclass(frozen=True, slots=True)
class Standing:
    """S5.1: the state of one trigger. `since` None: not active."""

    since: float | None = None
    run: Run | None = None

    @property
    def active(self) -> bool:
        """Whether the trigger is active."""
        return self.since is not None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a step offers every trigger: its time (s), whether a new frame came, whether latches are open (S5.8)."""

    now: float
    new_frame: bool
    open: bool


def holds(when: Truth) -> bool:
    """S5.3, S5.10."""
    return when in (Truth.TRUE, Truth.FAULT)


def move(row: Row, state: Standing, when: Truth, clear: Truth, moment: Moment) -> Standing:
    """S5.2: exactly one move."""
    run = counted(state, when, clear, moment)
    if run is None:  # S5.4
        return Standing(state.since, None)
    if not full(run, row.let_go if state.active else row.hold, moment.now):
        return Standing(state.since, run)
    if not state.active:  # S5.6
        return Standing(moment.now, None)
    if row.latch and not moment.open:  # S5.7, S5.8
        return Standing(state.since, run)
    return Standing(None, None)


def counted(state: Standing, when: Truth, clear: Truth, moment: Moment) -> Run | None:
    """S5.3 to S5.5: the run with this step in it; None if the step does not count."""
    counts = (clear is Truth.TRUE and not holds(when)) if state.active else holds(when)
    if not counts:
        return None
    run = state.run or Run(moment.now, 0)
    return Run(run.begin, run.frames + 1) if moment.new_frame else run


def full(run: Run, span: Span, now: float) -> bool:
    """S5.6, S5.7."""
    return run.frames >= span.frames and now - run.begin >= span.seconds


def over(row: Row, since: float, now: float) -> bool:
    """S6.2: whether a human was asked and the budget is over."""
    return row.then is Authority.HUMAN and not now < since + row.within


def demands(row: Row, since: float, now: float) -> Authority:
    """S6.2."""
    return row.otherwise if over(row, since, now) else row.then
