"""Two policies over one world: what one sees of an input, given what the other sees, as formulas.

Asks the solver and counts what it does not answer: a question without an answer never speaks for a policy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from edgeguard.desk.compare.side import Side
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.bounds import Bounds
from edgeguard.desk.solve.encode import Space, real
from edgeguard.desk.solve.search import TIMEOUT, Answer, Values, answer, ask
from edgeguard.errors import UsageError
from edgeguard.program import SignalSpec

_NEW = "'"
"""Sets NEW's variables apart where a signal is declared otherwise."""


class Point(NamedTuple):
    """One input as each policy sees it (None: at fault), and the thresholds that it needs where they are not known."""

    thresholds: Values
    old: Values
    new: Values


@dataclass(slots=True)
class Logic:
    """What is given of the inputs, and questions about them. `timeout`: s a question."""

    spaces: tuple[Space, ...]
    given: Formula
    timeout: float = TIMEOUT
    unsolved: int = 0
    """Questions that the solver did not answer in time."""
    _known: dict[tuple[int, int], Answer] = field(default_factory=dict)
    """What is known about each question: whether one formula can hold without the other."""
    _kept: list[Formula] = field(default_factory=list)
    """Keeps formulas alive, so that the solver gives their numbers to no others."""

    def implies(self, one: Formula, other: Formula) -> bool:
        """Whether `other` is proved to hold wherever `one` does."""
        key = (one.get_id(), other.get_id())
        if key not in self._known:
            self._kept += (one, other)
            self._known[key] = Answer.NEVER if one.eq(other) else self._said(z3.And(one, z3.Not(other)))
        self.unsolved += self._known[key] is Answer.UNKNOWN
        return self._known[key] is Answer.NEVER

    def possible(self, formula: Formula) -> tuple[Values, ...] | None:
        """An input at which `formula` holds, as each space sees it; None when there is none, or none is known."""
        found = ask(z3.And(self.given, formula), *self.spaces, timeout=self.timeout)
        self.unsolved += found.answer is Answer.UNKNOWN
        return found.values or None

    def _said(self, formula: Formula) -> Answer:
        return answer(z3.And(self.given, formula), *self.spaces, timeout=self.timeout)


@dataclass(frozen=True, slots=True)
class Pairing:
    """The inputs of both policies, and the thresholds as further unknowns where a calibration is not at hand."""

    old: Space
    new: Space
    thresholds: Space
    logic: Logic

    @property
    def measured(self) -> bool:
        """Whether the thresholds are those of the calibrations."""
        return not self.thresholds.signals

    def point(self, formula: Formula) -> Point | None:
        """An input at which `formula` holds; None when there is none, or none is known."""
        found = self.logic.possible(formula)
        return Point(*found) if found else None

    def at(self, thresholds: Values) -> Formula:
        """The thresholds are these."""
        known = [self.thresholds.values[n] == real(v) for n, v in thresholds.items() if v is not None]
        return z3.And(known)


def pair(old: Side, new: Side, *, timeout: float = TIMEOUT) -> Pairing:
    """Both policies over the same inputs. Thresholds that are not known are any, but the same for both.

    Raises:
        UsageError: a threshold that is not known fits only one of them.
    """
    calibrations = [s.calibration for s in (old, new) if s.document.thresholds()]
    measured = all(calibrations)
    unknown = Space.of([] if measured else _thresholds(old, new), {})
    one, other = (_space(s, unknown if not measured else None, tag) for s, tag in ((old, ""), (new, _NEW)))
    other, links = _linked(one, other)
    logic = Logic((unknown, one, other), z3.And(*links, unknown.all_healthy()), timeout)
    return Pairing(one, other, unknown, logic)


def _thresholds(old: Side, new: Side) -> list[SignalSpec]:
    """One unknown a threshold, anywhere in the range that both policies give its signal.

    Raises:
        UsageError: the ranges of a signal have no threshold in common.
    """
    ranges: dict[str, list[SignalSpec]] = {}
    for one in (old, new):
        specs = {spec.name: spec for spec in one.signals}
        for name in one.document.thresholds():
            ranges.setdefault(name, []).append(specs[name])
    found = []
    for name, alike in ranges.items():
        low, high = max(s.low for s in alike), min(s.high for s in alike)
        if low > high:
            message = f"no threshold of `{name}` is in the range of both policies"
            raise UsageError(f"{message}: put the calibration of each beside it")
        middle = (max(low, -1e6) + min(high, 1e6)) / 2.0
        found.append(SignalSpec(f"calibrated.{name}", "", low, high, 0.0, nominal=middle))
    return found


def _space(side: Side, unknown: Space | None, tag: str) -> Space:
    known = side.calibration.thresholds if side.calibration and unknown is None else {}
    space = Space.of(side.signals, known, tag=tag)
    if unknown is None:
        return space
    ranges = {s.name: Bounds(s.low, s.high) for s in unknown.signals}
    return space.naming(unknown.values, ranges)


def _linked(old: Space, new: Space) -> tuple[Space, list[Formula]]:
    """NEW over OLD's variables wherever a signal is declared alike, and what ties the others together."""
    before = {spec.name: spec for spec in old.signals}
    values, healthy, links = dict(new.values), dict(new.healthy), []
    for spec in new.signals:
        other = before.get(spec.name)
        if other is None or (spec.kind, spec.whole) != (other.kind, other.whole):
            continue
        if seen(spec) == seen(other):
            values[spec.name], healthy[spec.name] = old.values[spec.name], old.healthy[spec.name]
        else:
            links += _ties(other, spec, old, new)
    return replace(new, values=values, healthy=healthy, terms={**new.terms, **values}), links


def seen(spec: SignalSpec) -> tuple[object, ...]:
    """What decides about a signal's health and value: equal for two policies that see the same."""
    return (spec.name, spec.kind, spec.whole, spec.low, spec.high, spec.max_age, spec.labels)


def _ties(before: SignalSpec, after: SignalSpec, old: Space, new: Space) -> list[Formula]:
    """A value is one value. What is healthy for one policy is so for the other, unless out of range or too old."""
    name = after.name
    (one, well), (other, fine) = ((s.values[name], s.healthy[name]) for s in (old, new))
    ties = [z3.Implies(z3.And(well, fine), one == other)]
    if after.max_age >= before.max_age:
        ties.append(z3.Implies(z3.And(well, _inside(one, after)), fine))
    if after.max_age <= before.max_age:
        ties.append(z3.Implies(z3.And(fine, _inside(other, before)), well))
    return ties


def _inside(value: Formula, spec: SignalSpec) -> Formula:
    """A value that the signal's declaration lets pass."""
    if spec.kind == "bool":
        return z3.BoolVal(val=True)
    low = [value >= real(spec.low)] if math.isfinite(spec.low) else []
    high = [value <= real(spec.high)] if math.isfinite(spec.high) else []
    return z3.And(*low, *high)
