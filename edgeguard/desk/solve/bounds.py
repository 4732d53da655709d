"""Between which two numbers every part of a condition stays, from the ranges of the signals alone.

Interval arithmetic in doubles: coarse, never too narrow by more than rounding. No solver is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import NamedTuple

from edgeguard.policy.expr import tree

LARGEST = 1.797e308
"""A sum beyond this may be no finite number. A little below the largest double, so that rounding is covered."""

_MAX = sys.float_info.max


class Bounds(NamedTuple):
    """All values lie in [low, high]. An open end of a range is the largest finite number: others are faults."""

    low: float
    high: float


Ranges = Mapping[str, Bounds]
"""By name of a signal, and by `base.name` of a member."""


def bounds(node: tree.Node, ranges: Ranges) -> Bounds:
    """The bounds of a number. What it reads must be in `ranges`."""
    if isinstance(node, (tree.Number, tree.Label)):
        return Bounds(node.value, node.value)
    if isinstance(node, tree.Name):
        return _finite(ranges[node.name])
    if isinstance(node, tree.Member):
        return _finite(ranges[f"{node.base}.{node.name}"])
    if isinstance(node, tree.Conditional):
        one, other = bounds(node.then, ranges), bounds(node.otherwise, ranges)
        return Bounds(min(one.low, other.low), max(one.high, other.high))
    if isinstance(node, tree.Unary):
        inner = bounds(node.operand, ranges)
        return Bounds(-inner.high, -inner.low)
    if not isinstance(node, tree.Arithmetic):
        raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
    return _finite(arithmetic(node, ranges))


def arithmetic(node: tree.Arithmetic, ranges: Ranges) -> Bounds:
    """The bounds of one sum, product or quotient; infinite where it may be no finite number."""
    left, right = bounds(node.left, ranges), bounds(node.right, ranges)
    if node.op == "+":
        return Bounds(left.low + right.low, left.high + right.high)
    if node.op == "-":
        return Bounds(left.low - right.high, left.high - right.low)
    divided = node.op == "/"
    corners = [a / b if divided else a * b for a in left for b in right]
    return Bounds(min(corners), max(corners))


def may_overflow(node: tree.Arithmetic, ranges: Ranges) -> bool:
    """Whether this sum, product or quotient may be no finite number."""
    low, high = arithmetic(node, ranges)
    return not -LARGEST < low <= high < LARGEST


def _finite(found: Bounds) -> Bounds:
    return Bounds(min(max(found.low, -_MAX), _MAX), max(min(found.high, _MAX), -_MAX))
