"""Runs that may show that a trigger of one policy acts while the other policy demands less.

Only proposes: `witness` runs them, and what no run shows is not claimed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.compare.pairing import Pairing, Point
from edgeguard.desk.compare.rows import Row
from edgeguard.desk.compare.witness import Stage
from edgeguard.desk.demands import most
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.program import Program
from edgeguard.types import Event


@dataclass(frozen=True, slots=True)
class Half:
    """One policy's triggers."""

    program: Program
    rows: tuple[Row, ...]

    def twin(self, row: Row) -> Row | None:
        """The trigger of the same name."""
        return next((other for other in self.rows if other.id == row.id), None)


@dataclass(frozen=True, slots=True)
class Scripts:
    """Runs that may show that `row` of `strong` is active while `weak` demands less."""

    row: Row
    twin: Row | None
    strong: Half
    weak: Half
    pairing: Pairing

    def all(self) -> Iterator[tuple[Stage, ...]]:
        """The likeliest first."""
        for bad in self.setting_off():
            yield (self.until(bad),)
            yield Stage(bad, 1, 0.0), Stage(bad, 0, self.longest.hold.seconds, still=True)
            yield from self.expired(bad)
        yield from self.alternating()
        for bad in self.setting_off():
            for good in self.letting_go(bad):
                yield from self.afterwards(bad, good)

    def expired(self, bad: Point) -> Iterator[tuple[Stage, ...]]:
        """The other policy's trigger alone, until its budget is over; then both."""
        if self.twin is None or not self.twin.row.within:
            return
        for early in self.points(
            [z3.And(self.pairing.at(bad.thresholds), self.twin.holds, z3.Not(self.row.holds))]
        ):
            yield Stage(early, self.twin.row.hold.frames, self.twin.row.within), self.until(bad)

    def alternating(self) -> Iterator[tuple[Stage, ...]]:
        """Inputs on which the trigger holds, and each time another one of the other policy: frame by frame until it is
        active, or one after the other until who was asked is given up on."""
        row = self.row.row
        level = most(row)
        rivals = [o.holds for o in self.weak.rows if most(o.row) >= level and o.path[0] != "signals"]
        if not (row.hold.frames or row.within) or len(rivals) < 2:
            return
        alone = [z3.Not(z3.Or(*(other for other in rivals if other is not one))) for one in rivals]
        points = list(self.points([z3.And(self.row.holds, one, only) for one, only in zip(rivals, alone)]))
        if len(points) < 2:
            return
        if row.hold.frames:
            turns = itertools.islice(itertools.cycle(points), row.hold.frames + 1)
            yield tuple(Stage(point, 1, 0.0) for point in turns)
        if row.within:
            yield tuple(
                Stage(point, row.hold.frames, row.hold.seconds + 0.6 * row.within) for point in points[:2]
            )

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
        level = most(self.row.row)
        there = [o for o in self.weak.rows if most(o.row) >= level]
        quiet = z3.Not(z3.Or(*(o.holds for o in there), *(o.holds for o in self.strong.rows)))
        still = z3.Not(z3.Or(*(o.holds for o in there)))
        wanted: list[Formula] = [z3.And(same, quiet, z3.Not(self.row.counts))]
        for other in [self.twin] if self.twin else [o for o in there if o.reads & self.row.reads]:
            wanted += [z3.And(same, calm, other.counts, z3.Not(self.row.counts)) for calm in (quiet, still)]
            wanted += [z3.And(same, other.counts, z3.Not(self.row.counts)), z3.And(same, quiet, other.counts)]
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

    @property
    def everything(self) -> Span:
        """Long enough for every trigger of both policies to let go that may."""
        spans = [o.row.clear for o in (*self.strong.rows, *self.weak.rows)]
        seconds = max(span.seconds for span in spans)
        return Span(max(span.frames for span in spans) + 1, seconds)

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
        # steps without a new frame count for no span, so that an event comes at the very moment one is over
        take = Stage(bad, 1, 0.0, Event.TAKE)
        reset = Stage(good, 0, 0.0, Event.RESET, still=True)
        release = Stage(good, 0, 0.0, Event.RELEASE, still=True)
        for span in (brief, clear, self.everything):
            over = Stage(good, span.frames, span.seconds)
            yield start, take, over, release
            yield start, take, over, reset, release


def _longer(one: Span, other: Span) -> Span:
    return Span(max(one.frames, other.frames), max(one.seconds, other.seconds))
