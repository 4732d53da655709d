"""Interval arithmetic over the declared ranges: what an expression can come to, and where a condition can hold.

Sound, not complete: what is called impossible is impossible in the runtime's own floating point; the rest is left open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

from edgeguard.policy.expr import tree

MOST_BOXES = 32
"""Of the pieces that cover a condition; more are replaced by the box they were cut from."""

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_BOTH = frozenset({False, True})


class Interval(NamedTuple):
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float


ANYTHING = Interval(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Box:
    """A range for each signal by its name, and for each threshold by `calibrated.NAME`. Names not in it: any number."""

    ranges: Mapping[str, Interval]
    whole: frozenset[str] = frozenset()
    """Names that only take whole numbers."""

    def of(self, node: tree.Node) -> Interval:
        """Range of a name or member."""
        return self.ranges.get(key(node) or "", ANYTHING)

    def narrowed(self, node: tree.Node, low: float, high: float) -> Box | None:
        """This box with the name's range cut to `low` ... `high`; None when nothing is left of it."""
        name = key(node)
        if name is None:
            return self
        before = self.ranges.get(name, ANYTHING)
        after = Interval(max(before.low, low), min(before.high, high))
        if after == before:
            return self
        return replace(self, ranges={**self.ranges, name: after}) if after.low <= after.high else None


def key(node: tree.Node) -> str | None:
    """What a name or a member is called in a box; None for every other node."""
    if isinstance(node, (tree.Name, tree.Flag)):
        return node.name
    return f"{node.base}.{node.name}" if isinstance(node, tree.Member) else None


def number(node: tree.Node, box: Box) -> Interval:
    """Every number that `node` can give in `box`."""
    if isinstance(node, (tree.Number, tree.Label)):
        return Interval(node.value, node.value)
    if isinstance(node, (tree.Name, tree.Member)):
        return box.of(node)
    if isinstance(node, tree.Unary):
        inner = number(node.operand, box)
        return Interval(-inner.high, -inner.low)
    if isinstance(node, tree.Arithmetic):
        return _arithmetic(node, box)
    if isinstance(node, tree.Conditional):
        can = outcomes(node.test, box)
        parts = [
            number(part, box) for part, when in ((node.then, True), (node.otherwise, False)) if when in can
        ]
        return Interval(min(p.low for p in parts), max(p.high for p in parts))
    return ANYTHING


def _arithmetic(node: tree.Arithmetic, box: Box) -> Interval:
    """From the ends alone: rounding keeps the order, so that what lies between the ends stays between the results."""
    left, right = number(node.left, box), number(node.right, box)
    if node.op in "+-":
        other = right if node.op == "+" else Interval(-right.high, -right.low)
        return _known(left.low + other.low, left.high + other.high)
    ends = [a * b if node.op == "*" else a / b for a, b in product(left, right)]
    if any(math.isnan(end) for end in ends):
        return ANYTHING
    if node.op == "*" and key(node.left) is not None and key(node.left) == key(node.right):
        low = 0.0 if left.low <= 0.0 <= left.high else min(ends[0], ends[3])
        return _known(low, max(ends))
    return _known(min(ends), max(ends))


def _known(low: float, high: float) -> Interval:
    return ANYTHING if math.isnan(low) or math.isnan(high) else Interval(low, high)


def outcomes(node: tree.Node, box: Box) -> frozenset[bool]:
    """What a condition can come out as in `box`; never empty."""
    if isinstance(node, tree.Bool):
        return frozenset({node.value})
    if isinstance(node, tree.Flag):
        low, high = box.of(node)
        return frozenset({low != 0.0}) if low == high else _BOTH
    if isinstance(node, tree.Unary):
        return frozenset(not o for o in outcomes(node.operand, box))
    if isinstance(node, tree.Logic):
        join = all if node.op == "&&" else any
        sides = product(outcomes(node.left, box), outcomes(node.right, box))
        return frozenset(join(side) for side in sides)
    if isinstance(node, tree.Conditional):
        can = outcomes(node.test, box)
        branches = ((node.then, True), (node.otherwise, False))
        return frozenset(o for part, when in branches if when in can for o in outcomes(part, box))
    if isinstance(node, tree.Within):
        left = number(node.operand, box)
        near = [item for item in node.items if left.low <= item <= left.high]
        return _can(true=bool(near), false=not (near and left.low == left.high))
    if isinstance(node, tree.Compare):
        return _compare(node, box)
    return _BOTH


def _compare(node: tree.Compare, box: Box) -> frozenset[bool]:
    if type(node.left) is type(node.right) and tree.skeleton(node.left) == tree.skeleton(node.right):
        return frozenset({node.op in ("<=", ">=", "==")})
    left, right = number(node.left, box), number(node.right, box)
    return _can(true=_possible(node.op, left, right), false=_possible(_NEGATED[node.op], left, right))


def _can(*, true: bool, false: bool) -> frozenset[bool]:
    return frozenset(o for o, can in ((True, true), (False, false)) if can) or _BOTH


def _possible(op: str, left: Interval, right: Interval) -> bool:
    if op in ("<", "<="):
        return left.low < right.high or (op == "<=" and left.low == right.high)
    if op in (">", ">="):
        return _possible(_MIRRORED[op], right, left)
    if op == "==":
        return max(left.low, right.low) <= min(left.high, right.high)
    return not left.low == left.high == right.low == right.high


class Search:
    """Looks for where conditions hold, with a bound on its work: beyond `visits` it knows nothing and says so."""

    __slots__ = ("visits",)

    def __init__(self, visits: int) -> None:
        self.visits = visits

    def covers(self, node: tree.Node, wanted: bool, box: Box) -> tuple[Box, ...]:  # noqa: FBT001 - the outcome sought
        """Boxes that together hold every point of `box` where `node` comes out `wanted`; none: it never does there."""
        self.visits -= 1
        if self.visits < 0:
            return (box,)
        found = tuple(self._cut(node, wanted, box))
        return found if len(found) <= MOST_BOXES else (box,)

    def both(
        self, first: tuple[tree.Node, bool], second: tuple[tree.Node, bool], box: Box
    ) -> tuple[Box, ...]:
        """Boxes that hold every point where the two nodes come out as wanted at once."""
        return tuple(b for a in self.covers(*first, box) for b in self.covers(*second, a))

    def _cut(self, node: tree.Node, wanted: bool, box: Box) -> Iterator[Box]:  # noqa: FBT001 - the outcome sought
        if isinstance(node, tree.Logic):
            if (node.op == "&&") is wanted:
                yield from self.both((node.left, wanted), (node.right, wanted), box)
            else:
                yield from self.covers(node.left, wanted, box)
                yield from self.covers(node.right, wanted, box)
        elif isinstance(node, tree.Unary):
            yield from self.covers(node.operand, not wanted, box)
        elif isinstance(node, tree.Conditional):
            yield from self.both((node.test, True), (node.then, wanted), box)
            yield from self.both((node.test, False), (node.otherwise, wanted), box)
        elif wanted in outcomes(node, box):
            cut = _narrow(node, wanted, box)
            if cut is not None:
                yield cut


def _narrow(node: tree.Node, wanted: bool, box: Box) -> Box | None:  # noqa: FBT001 - the outcome sought
    """The part of `box` where a comparison or a flag can come out `wanted`."""
    if isinstance(node, tree.Flag):
        value = 1.0 if wanted else 0.0
        return box.narrowed(node, value, value)
    if not isinstance(node, tree.Compare):
        return box
    op = node.op if wanted else _NEGATED[node.op]
    left, right = number(node.left, box), number(node.right, box)
    cut = _bounded(node.left, op, right, box)
    return _bounded(node.right, _MIRRORED[op], left, cut) if cut is not None else None


def _bounded(node: tree.Node, op: str, other: Interval, box: Box) -> Box | None:
    """`box` where the name `node` stands in relation `op` to some number of `other`."""
    if op in ("<", "<="):
        high = other.high if op == "<=" else math.nextafter(other.high, -math.inf)
        return box.narrowed(node, -math.inf, high)
    if op in (">", ">="):
        low = other.low if op == ">=" else math.nextafter(other.low, math.inf)
        return box.narrowed(node, low, math.inf)
    if op == "==":
        return box.narrowed(node, other.low, other.high)
    return _without(node, other, box)


def _without(node: tree.Node, other: Interval, box: Box) -> Box | None:
    """Not equal to a single number: that only cuts when the number is an end of the range."""
    before = box.of(node)
    if other.low != other.high or other.low not in before:
        return box
    gap = 1.0 if key(node) in box.whole else 0.0
    if other.low == before.low:
        low = other.low + gap if gap else math.nextafter(other.low, math.inf)
        return box.narrowed(node, low, math.inf)
    high = other.low - gap if gap else math.nextafter(other.low, -math.inf)
    return box.narrowed(node, -math.inf, high)
