"""The mode layer, enumerated: every seat that can be reached, by calling the very function that runs.

The set that comes out is closed under every step, whatever the rules say and whoever does what: an inductive invariant
over all runs. The function is an argument, so that a broken one can be shown to be refuted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

from edgeguard.decision.machine import AUTHORITY, Seat, Summary
from edgeguard.decision.table import RuleRow
from edgeguard.types import Authority, Event, Mode

NextMode = Callable[[int, Seat, Summary, Collection[Event]], Seat]

OPERATOR = (Event.TAKE, Event.RELEASE, Event.RESET, Event.ARM, Event.STOP)
MOST_COUNTED = 8
"""Up to this lockout limit every count of entries is enumerated; above it all counts from 3 on are one."""

EVENT_SETS: tuple[frozenset[Event], ...] = tuple(
    frozenset(chosen) for size in range(len(Event) + 1) for chosen in combinations(Event, size)
)


class Many(int):
    """A count of 3 or more. It can be counted on and compared, and every comparison is tried both ways."""

    reached: bool | None = None
    """What a comparison with the limit says; None: it must not be asked, as there is no limit."""

    def __add__(self, other: int) -> Many:
        return self

    def __ge__(self, other: int) -> bool:
        if self.reached is None:
            raise AssertionError("entries were compared although there is no limit")
        return self.reached


class Move(NamedTuple):
    """One step of the mode layer."""

    before: Seat
    summary: Summary
    events: frozenset[Event]
    after: Seat


@dataclass(frozen=True, slots=True)
class Modes:
    """Everything that the mode layer can do under one policy."""

    seats: tuple[Seat, ...]
    moves: tuple[Move, ...]
    summaries: tuple[Summary, ...]
    next_mode: NextMode
    lockout_after: int

    def step(self, seat: Seat, summary: Summary, events: Collection[Event]) -> Iterator[Seat]:
        """Every seat that one step can lead to: one, or two where a count stands for many."""
        for counted in _counts(seat, self.lockout_after):
            yield _plain(self.next_mode(self.lockout_after, counted, summary, events))

    def size(self) -> str:
        """How much was enumerated, in words."""
        states, summed = len(self.seats), len(self.summaries)
        return f"{states} states x {summed} summaries of the rules x {len(EVENT_SETS)} sets of events"


def summaries(rows: Sequence[RuleRow]) -> tuple[Summary, ...]:
    """Everything that rules with these demands can come to. A demand without an active rule, or the other way round,
    and a fresh safe-state rule without its demand, cannot be."""
    demands = {row.then for row in rows}
    demands |= {row.otherwise for row in rows if row.then is Authority.HUMAN}
    found = []
    for demand in sorted({Authority.MODEL, *demands}):
        can_be_fresh = demand is Authority.SAFE_STATE and any(r.then is demand for r in rows)
        for pending, fresh in product((False, True), (False, True) if can_be_fresh else (False,)):
            found.append(Summary(demand, demand is not Authority.MODEL, pending, fresh))
    return tuple(found)


def explore(next_mode: NextMode, lockout_after: int, rows: Sequence[RuleRow]) -> Modes:
    """Every seat reachable from INIT, and every move between them."""
    return _closed(next_mode, lockout_after, summaries(rows))


@lru_cache(maxsize=16)
def _closed(next_mode: NextMode, lockout_after: int, every: tuple[Summary, ...]) -> Modes:
    start = Seat(Mode.INIT)
    modes = Modes((), (), every, next_mode, lockout_after)
    seen, waiting, moves = {start: None}, deque([start]), []
    while waiting:
        seat = waiting.popleft()
        for summary, events in product(every, EVENT_SETS):
            for after in modes.step(seat, summary, events):
                moves.append(Move(seat, summary, events, after))
                if after not in seen:
                    seen[after] = None
                    waiting.append(after)
    return Modes(tuple(seen), tuple(moves), every, next_mode, lockout_after)


def model_while_active(modes: Modes) -> list[Move]:
    """Steps into a mode in which the model acts, although a rule is active."""
    return [m for m in modes.moves if m.summary.active and AUTHORITY[m.after.mode] is Authority.MODEL]


def safe_state_left(modes: Modes) -> list[Move]:
    """Steps out of the safe state that no operator took, and any step out of the lockout."""
    return [m for m in modes.moves if _escapes(m)]


def _escapes(move: Move) -> bool:
    if move.before.mode is Mode.LOCKOUT:
        return move.after.mode is not Mode.LOCKOUT
    if move.before.mode is not Mode.SAFE_STATE or move.after.mode is Mode.SAFE_STATE:
        return False
    if move.after.mode is Mode.LOCKOUT:
        return Event.INTEGRITY not in move.events
    return not move.events & {Event.TAKE, Event.RESET}


def no_takeover(modes: Modes) -> list[Seat]:
    """States in which no two actions of the operator lead to MANUAL whatever the rules say meanwhile."""
    asked = [s for s in modes.seats if s.mode not in (Mode.INIT, Mode.LOCKOUT)]
    return [s for s in asked if not any(_wins(modes, s, first) for first in OPERATOR)]


def _wins(modes: Modes, seat: Seat, first: Event) -> bool:
    afters = {a for s in modes.summaries for a in modes.step(seat, s, (first,))}
    return all(_had(seat, a) or any(_at_once(modes, a, then) for then in OPERATOR) for a in afters)


def _had(before: Seat, after: Seat) -> bool:
    """Whether the human has the wheel, or had an earlier safe state to take it in."""
    return after.mode is Mode.MANUAL or (after.mode is Mode.LOCKOUT and before.entries >= 1)


def _at_once(modes: Modes, seat: Seat, event: Event) -> bool:
    return all(a.mode is Mode.MANUAL for s in modes.summaries for a in modes.step(seat, s, (event,)))


def locked_out_unasked(modes: Modes) -> list[Move]:
    """Steps into the lockout, but for broken integrity, before any safe state in which the operator could act."""
    return [
        m
        for m in modes.moves
        if m.after.mode is Mode.LOCKOUT
        and m.before.mode is not Mode.LOCKOUT
        and Event.INTEGRITY not in m.events
        and m.before.entries < 1
    ]


def unsettled(modes: Modes) -> list[tuple[Mode, ...]]:
    """Cycles of modes that nothing drives: with a constant demand of the rules and no event."""
    ways = _undriven(modes)
    return [cycle for edges in ways for mode in edges if (cycle := _cycle(edges, mode))]


def longest_way(modes: Modes) -> int:
    """The most changes of mode under a constant demand and no event. Only asked for where there is no cycle."""
    return max(_depth(edges, mode) for edges in _undriven(modes) for mode in edges)


def _undriven(modes: Modes) -> list[dict[Mode, set[Mode]]]:
    """For each demand: from which mode to which other the machine goes by itself."""
    found = []
    for demand in sorted({s.demand for s in modes.summaries}):
        alike = [s for s in modes.summaries if s.demand is demand]
        edges: dict[Mode, set[Mode]] = {}
        for seat in modes.seats:
            afters = {a.mode for s in alike for a in modes.step(seat, s, ())}
            edges.setdefault(seat.mode, set()).update(afters - {seat.mode})
        found.append(edges)
    return found


def _depth(edges: dict[Mode, set[Mode]], mode: Mode) -> int:
    return max((1 + _depth(edges, after) for after in edges.get(mode, ())), default=0)


def _cycle(edges: dict[Mode, set[Mode]], start: Mode) -> tuple[Mode, ...]:
    """The shortest way from `start` back to it; empty when there is none."""
    waiting: deque[tuple[Mode, ...]] = deque([(start,)])
    seen: set[Mode] = set()
    while waiting:
        path = waiting.popleft()
        for after in sorted(edges.get(path[-1], ()), key=lambda mode: mode.value):
            if after is start:
                return (*path, after)
            if after not in seen:
                seen.add(after)
                waiting.append((*path, after))
    return ()


def _counts(seat: Seat, lockout_after: int) -> Iterator[Seat]:
    """The seat as the code is to see it: with its count, or with one that stands for many."""
    if lockout_after and (lockout_after <= MOST_COUNTED or seat.entries < 3):
        yield seat
        return
    for reached in (False, True) if lockout_after else (None,):
        many = Many(3)
        many.reached = reached
        yield seat._replace(entries=many)


def _plain(seat: Seat) -> Seat:
    return seat._replace(entries=3) if isinstance(seat.entries, Many) else seat
