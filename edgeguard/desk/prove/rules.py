"""The rule layer, enumerated: every rule, state and truth, by calling the very function that runs.

Times and counts are tokens that can only be subtracted, counted on and compared with the row's spans, and every
comparison is tried both ways; anything else that the code did with them would raise. So what comes out holds for all
times, counts and periods.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from edgeguard.decision.machine import Inputs, RuleState
from edgeguard.decision.table import RuleRow, Truth

Advance = Callable[..., tuple[RuleState, ...]]
"""As `edgeguard.decision.machine.advance`."""


@dataclass(frozen=True, eq=False)
class Instant:
    """A point in time. Differences are 0 with itself, and otherwise long enough or not."""

    enough: bool

    def __sub__(self, other: Instant) -> Elapsed:
        return Elapsed(None if other is self else self.enough)


@dataclass(frozen=True, eq=False)
class Elapsed:
    """A time that has passed, at least 0: the clock does not go back (`Guard.step` locks out where it does)."""

    enough: bool | None
    """None: exactly 0."""

    def __ge__(self, seconds: float) -> bool:
        return seconds <= 0.0 if self.enough is None or seconds <= 0.0 else self.enough

    def __lt__(self, seconds: float) -> bool:
        return not self >= seconds


@dataclass(frozen=True, eq=False)
class Count:
    """A number of new frames, at least 0."""

    enough: bool
    grew: bool = False

    def __add__(self, counted: bool) -> Count:
        return Count(self.enough, self.grew or counted)

    def __ge__(self, frames: int) -> bool:
        return frames <= 0 or self.enough


class Turn(NamedTuple):
    """One step of one rule. `enough`: the run has what the row's span asks for."""

    before: RuleState
    when: Truth
    clear: Truth
    counted: bool
    opened: bool
    enough: bool
    after: RuleState


def turns(advance: Advance, row: RuleRow) -> Iterator[Turn]:
    """Every step that this rule can take from a state that it can be in."""
    for frames_do, time_does, when, clear in product((False, True), (False, True), Truth, Truth):
        now = Instant(time_does)
        for before in _states(row, frames_do=frames_do, time_does=time_does):
            for counted, opened in product((False, True), (False, True)):
                inputs = Inputs((when,), (clear,), counted)
                (after,) = advance((row,), (before,), inputs, now, opened=opened)
                span = row.clear if before.active else row.hold
                if before.start is None:  # a run that begins with this step
                    enough = span.frames <= counted and not span.seconds
                else:
                    enough = (frames_do or not span.frames) and (time_does or not span.seconds)
                yield Turn(before, when, clear, counted, opened, enough, after)


def _states(row: RuleRow, *, frames_do: bool, time_does: bool) -> Iterator[RuleState]:
    """Idle or active, with or without a run. A rule without debounce is never idle with a run: see `broken`."""
    run = RuleState(frames=Count(frames_do), start=Instant(time_does))  # type: ignore[arg-type]
    since = Instant(time_does)
    yield RuleState()
    if row.hold.frames or row.hold.seconds:
        yield run
    yield RuleState(active=True, since=since)  # type: ignore[arg-type]
    yield run._replace(active=True, since=since)  # type: ignore[arg-type]


def broken(advance: Advance, row: RuleRow) -> str:
    """Which property of a rule some step breaks, in words; empty: none. The properties are inductive:

    an active rule stays so while its condition holds or is a fault, until its clear condition is true for the whole
    span, and, latched, until the operator opens it; an idle one stays idle while its condition is false; one whose
    condition held for the whole span is active; until then its run goes on; without debounce it is active at once.
    """
    return next((said for turn in turns(advance, row) if (said := _judge(row, turn))), "")


def _judge(row: RuleRow, turn: Turn) -> str:
    holds = turn.when is not Truth.FALSE
    if turn.before.active and not turn.after.active:
        return _cleared(row, turn, holds=holds)
    if turn.before.active:
        return ""
    if turn.after.active:
        return "" if holds else "becomes active while its condition is false"
    if not holds:
        return "" if turn.after.start is None else "keeps a run while its condition is false"
    if not (row.hold.frames or row.hold.seconds):
        return "does not become active at once"
    if turn.enough:
        return "does not become active although its condition held long enough"
    if turn.before.start is None:
        return "" if turn.after.start is not None else "does not begin a run"
    kept = turn.after.start is turn.before.start and turn.after.frames.grew == turn.counted  # type: ignore[attr-defined]
    return "" if kept else "loses its run while its condition holds"


def _cleared(row: RuleRow, turn: Turn, *, holds: bool) -> str:
    if holds:
        return "lets go while its condition holds"
    if turn.clear is not Truth.TRUE:
        return "lets go although its clear condition is not true"
    if row.latch and not turn.opened:
        return "lets go although it is latched"
    return "" if turn.enough else "lets go too early"


def first_broken(advance: Advance, rows: Sequence[RuleRow]) -> tuple[RuleRow, str] | None:
    """The first row that breaks a property, and which."""
    return next(((row, said) for row in rows if (said := broken(advance, row))), None)
