"""What takes authority in one policy and in the other: every trigger that the other policy does not cover.

OLD's uncovered triggers make NEW more permissive, NEW's make it stricter; each with a run that shows it if one does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.compare.order import Difference, Order
from edgeguard.desk.compare.pairing import Logic, Pairing, Point
from edgeguard.desk.compare.rows import Row, cover, most
from edgeguard.desk.compare.witness import Runner, Stage, who_acts
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.policy.units import duration_text, span_text
from edgeguard.program import Program
from edgeguard.types import Authority, Event


@dataclass(frozen=True, slots=True)
class Half:
    """One policy's triggers."""

    program: Program
    rows: tuple[Row, ...]

    def twin(self, row: Row) -> Row | None:
        """The trigger of the same name."""
        return next((other for other in self.rows if other.id == row.id), None)


def triggers(old: Half, new: Half, pairing: Pairing, runner: Runner) -> Iterator[Difference]:
    """Every trigger of one policy that the other does not cover, in NEW's order, then what only OLD has."""
    found = [*_uncovered(new, old, pairing, runner, Order.STRICTER)]
    found += _uncovered(old, new, pairing, runner, Order.PERMISSIVE)
    places = {row.path: i for i, row in enumerate(new.rows)}
    yield from sorted(found, key=lambda d: places.get(d.new, len(places)) if d.new else len(places))


def _uncovered(
    strong: Half, weak: Half, pairing: Pairing, runner: Runner, order: Order
) -> Iterator[Difference]:
    """Triggers of `strong` that may be active while `weak` demands less."""
    for row in strong.rows:
        before = pairing.logic.unsolved
        if cover(row, weak.rows, pairing.logic):
            continue
        twin = weak.twin(row)
        loses = 1 if order is Order.PERMISSIVE else 0
        scripts = _Scripts(row, twin, strong, weak, pairing).all()
        witness = runner.first(scripts, who_acts(loses))
        text = _text(row, twin, weak.program, pairing.logic, order)
        unsolved = pairing.logic.unsolved > before
        if unsolved:
            text += f"; the solver gave no answer within {pairing.logic.timeout:g} s"
        elif witness is None:
            text += "; no run was found that shows it"
        paths = (row.path, twin.path if twin else None)
        here, there = paths if order is Order.PERMISSIVE else reversed(paths)
        yield Difference(Order.INCOMPARABLE if unsolved else order, text, here, there, witness)


def _text(row: Row, twin: Row | None, weak: Program, logic: Logic, order: Order) -> str:
    """What became of a trigger, in words. `weak`: the policy that does not cover it."""
    name = _called(row)
    if twin is None:
        watched = next((other for other in weak.watched if other.id == row.id), None)
        if watched:
            now, was = (watched.mode, "enforce") if order is Order.PERMISSIVE else ("enforce", watched.mode)
            return f"{name} has mode {now}, was {was}"
        if order is Order.PERMISSIVE:
            return f"{name} is gone, and nothing else takes as much"
        return f"{name} is new"
    before, after = (twin, row) if order is Order.STRICTER else (row, twin)
    parts = [*_conditions(row, twin, logic, _WORDS[order]), *_changes(before.row, after.row)]
    return f"{name}: {'; '.join(parts) or 'it acts otherwise'}"


def _called(row: Row) -> str:
    if row.path[0] == "signals":
        return f"signal `{row.path[1]}`"
    return f"{'relation' if row.path[0] == 'redundancy' else 'rule'} `{row.id}`"


class _Words(NamedTuple):
    """What is said of a condition that is not as wide as the other policy's."""

    faults: str
    holds: str
    clears: str


_WORDS = {
    Order.STRICTER: _Words(
        "it is at fault where it was not",
        "its condition holds where it did not",
        "it does not clear where it did",
    ),
    Order.PERMISSIVE: _Words(
        "it is not at fault where it was",
        "its condition does not hold where it did",
        "it clears where it did not",
    ),
}


def _conditions(row: Row, twin: Row, logic: Logic, words: _Words) -> Iterator[str]:
    if row.says == twin.says:
        return
    if not logic.implies(row.holds, twin.holds):
        yield words.faults if row.path[0] == "signals" else words.holds
    if row.path[0] != "signals" and not logic.implies(twin.counts, row.counts):
        yield words.clears


def _changes(old: RuleRow, new: RuleRow) -> Iterator[str]:
    """What differs between two rows besides their conditions."""
    if old.hold != new.hold:
        yield f"debounce {span_text(new.hold)}, was {span_text(old.hold)}"
    if old.clear != new.clear:
        yield f"lets go after {span_text(new.clear)}, was {span_text(old.clear)}"
    if old.latch != new.latch:
        yield "it latches now" if new.latch else "it no longer latches"
    if old.then != new.then:
        yield f"demands {_word(new.then)}, was {_word(old.then)}"
    if old.within != new.within and old.within and new.within:
        yield f"within {duration_text(new.within)}, was {duration_text(old.within)}"
    if old.otherwise != new.otherwise and old.within and new.within:
        yield f"otherwise {_word(new.otherwise)}, was {_word(old.otherwise)}"


def _word(authority: Authority) -> str:
    return authority.name.lower()


@dataclass(frozen=True, slots=True)
class _Scripts:
    """Runs that may show that `row` of `strong` is active while `weak` demands less."""

    row: Row
    twin: Row | None
    strong: Half
    weak: Half
    pairing: Pairing

    def all(self) -> Iterator[tuple[Stage, ...]]:
        for bad in self.setting_off():
            yield (self.until(bad),)
            yield Stage(bad, 1, 0.0), Stage(bad, 0, self.longest.hold.seconds, still=True)
        yield from self.alternating()
        for bad in self.setting_off():
            for good in self.letting_go(bad):
                yield from self.afterwards(bad, good)

    def alternating(self) -> Iterator[tuple[Stage, ...]]:
        """Frame by frame another input on which the trigger holds, and each time another one of the other policy."""
        level = most(self.row.row)
        rivals = [o.holds for o in self.weak.rows if most(o.row) >= level and o.path[0] != "signals"]
        if not self.row.row.hold.frames or len(rivals) < 2:
            return
        alone = [z3.Not(z3.Or(*(other for other in rivals if other is not one))) for one in rivals]
        points = list(self.points([z3.And(self.row.holds, one, only) for one, only in zip(rivals, alone)]))
        if len(points) > 1:
            turns = itertools.islice(itertools.cycle(points), self.row.row.hold.frames + 1)
            yield tuple(Stage(point, 1, 0.0) for point in turns)

    def setting_off(self) -> Iterator[Point]:
        """Inputs on which the trigger holds, those first on which the least else does."""
        level = most(self.row.row)
        here = [o.holds for o in self.strong.rows if o is not self.row and most(o.row) >= level]
        there = [o.holds for o in self.weak.rows if most(o.row) >= level]
        others = [o.holds for o in self.weak.rows if o is not self.twin and most(o.row) >= level]
        wanted = ((*here, *there), there, (*here, *others), others, ())
        yield from self.points([z3.And(self.row.holds, z3.Not(z3.Or(*avoided))) for avoided in wanted])

    def letting_go(self, bad: Point) -> Iterator[Point]:
        """Inputs on which the other policy's trigger lets go, those first on which this one does not."""
        same = self.pairing.at(bad.thresholds)
        quiet = z3.Not(z3.Or(*(o.holds for o in (*self.strong.rows, *self.weak.rows) if o is not self.row)))
        wanted: list[Formula] = [z3.And(same, quiet, z3.Not(self.row.counts))]
        if self.twin:
            wanted.append(z3.And(same, self.twin.counts, z3.Not(self.row.counts)))
            wanted.append(z3.And(same, quiet, self.twin.counts))
        yield Point(bad.thresholds, {}, {})
        yield from self.points(wanted)

    def points(self, formulas: Sequence[Formula]) -> Iterator[Point]:
        """A witness of each formula that has one, each once."""
        seen: list[Point] = []
        for formula in formulas:
            point = self.pairing.point(formula)
            if point and point not in seen:
                seen.append(point)
                yield point

    def until(self, bad: Point) -> Stage:
        """Long enough for both triggers to be active and for a human's time to be over."""
        frames, seconds = self.longest.hold.frames + 1, self.longest.hold.seconds
        period = self.strong.program.frame_period
        if self.longest.within:
            seconds = max(seconds, frames * period) + self.longest.within + period
        elif seconds:
            seconds += period
        return Stage(bad, frames, seconds)

    @property
    def longest(self) -> RuleRow:
        """The trigger, with the longer one of its and its twin's spans."""
        mine = self.row.row
        other = self.twin.row if self.twin else mine
        return replace(
            mine,
            hold=_longer(mine.hold, other.hold),
            clear=_longer(mine.clear, other.clear),
            within=max(mine.within, other.within),
        )

    def afterwards(self, bad: Point, good: Point) -> Iterator[tuple[Stage, ...]]:
        """Set off, then let go: as it is, without new frames, and with an operator who takes over and releases."""
        hold, clear = self.longest.hold, self.longest.clear
        start = Stage(bad, max(1, hold.frames), hold.seconds)
        period = self.strong.program.frame_period
        yield start, Stage(good, clear.frames + 2, clear.seconds and clear.seconds + period)
        yield start, Stage(good, 0, clear.seconds + period, still=True)
        brief = Span(
            min(o.row.clear.frames for o in (self.row, self.twin or self.row)),
            min(o.row.clear.seconds for o in (self.row, self.twin or self.row)),
        )
        release = Stage(good, 1, 0.0, Event.RELEASE)
        for span in (brief, clear):
            take = Stage(good, span.frames + 1, span.seconds, Event.TAKE)
            yield start, take, release
            yield start, take, Stage(good, 1, 0.0, Event.RESET), release


def _longer(one: Span, other: Span) -> Span:
    return Span(max(one.frames, other.frames), max(one.seconds, other.seconds))
