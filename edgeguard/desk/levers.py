"""What one signal alone would have to be for a condition to come out otherwise. Searches; decides nothing.

Exact where every comparison is linear in that signal: then truth can only change where one of them is even. Elsewhere
the range is sampled and each change between two samples closed in on, so a change narrower than a sample is missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

from edgeguard.policy.expr import interpreter, tree
from edgeguard.program import SignalSpec

Env = Mapping[str, float | None]
Test = Callable[[float], bool]
Form = tuple[float, float]
"""A number as factor * signal + rest."""

SAMPLES = 512
"""Intervals that a signal's range is sampled in where a comparison is not linear in it."""
_FAR = 1e6
"""Where an open range is sampled up to: so many times the larger of 1 and the present value."""
_MOST_FORMS = 64
_HALVINGS = 200


@dataclass(frozen=True, slots=True)
class Lever:
    """The value of `signal` nearest to the present one that would do.

    `inclusive`: that value does it itself; else only what lies beyond it, upwards where `up`, does.
    """

    signal: str
    value: float
    up: bool
    inclusive: bool


def lever(
    spec: SignalSpec, conditions: Sequence[tree.Node], env: Env, wanted: Callable[[Env], bool]
) -> Lever | None:
    """The nearest value of one signal, all others as in `env`, at which `wanted` holds; None when there is none.

    `conditions`: every tree that `wanted` looks at. A signal at fault counts as having its nominal value.
    """
    present = env.get(spec.name)
    at = spec.nominal if present is None else present

    def test(value: float) -> bool:
        return wanted({**env, spec.name: value})

    if present is None and test(at):
        return Lever(spec.name, at, up=True, inclusive=True)
    if spec.whole:
        values = (float(v) for v in range(math.ceil(spec.low), math.floor(spec.high) + 1))
        found = min((v for v in values if v != at and test(v)), key=lambda v: abs(v - at), default=None)
        return None if found is None else Lever(spec.name, found, found > at, inclusive=True)
    borders = _borders(spec, conditions, env, at, test)
    return _nearest(spec, sorted({spec.low, spec.high, *borders}), at, test)


def _nearest(spec: SignalSpec, borders: Sequence[float], at: float, test: Test) -> Lever | None:
    """The nearest of all points and open pieces between them at which `test` holds."""
    found = [Lever(spec.name, b, b > at, inclusive=True) for b in borders if math.isfinite(b) and test(b)]
    for low, high in pairwise(borders):
        up = at <= low
        near = low if up else high
        if not low < at < high and math.isfinite(near) and test(_inside(low, high)):
            found.append(Lever(spec.name, near, up, inclusive=False))
    return min(found, key=lambda one: (abs(one.value - at), not one.inclusive, not one.up), default=None)


def _inside(low: float, high: float) -> float:
    """A value between two others, of which one may be infinite."""
    if math.isinf(low) or math.isinf(high):
        end, sign = (high, -1.0) if math.isinf(low) else (low, 1.0)
        return end + sign * max(1.0, abs(end))
    return low + (high - low) / 2.0


def _borders(
    spec: SignalSpec, conditions: Iterable[tree.Node], env: Env, at: float, test: Test
) -> Iterator[float]:
    """Where truth may change, inside the range: a superset where it can be computed."""
    sampled = False
    for condition in conditions:
        for part in tree.walk(condition):
            if not isinstance(part, (tree.Compare, tree.Within)) or spec.name not in tree.names(part):
                continue
            even = _even(part, spec.name, env)
            if even is None:
                sampled = True
            else:
                yield from (x for x in even if spec.low <= x <= spec.high)
    if sampled:
        yield from _sampled(spec, at, test)


def _even(part: tree.Compare | tree.Within, signal: str, env: Env) -> list[float] | None:
    """Where the two sides are equal; None when a side is not linear in `signal`."""
    if isinstance(part, tree.Within):
        left, rights = _forms(part.operand, signal, env), [(0.0, item) for item in part.items]
    elif _is_truth(part.left):
        return []  # the comparisons in it have borders of their own
    else:
        left, right = _forms(part.left, signal, env), _forms(part.right, signal, env)
        if right is None:
            return None
        rights = right
    if left is None:
        return None
    sides = [(a - c, d - b) for (a, b), (c, d) in product(left, rights)]
    return [rest / factor + 0.0 for factor, rest in sides if factor != 0.0]  # not -0.0


def _forms(node: tree.Node, signal: str, env: Env) -> list[Form] | None:
    """Every linear form that a number may take, one a branch; None when it is not linear. None of a fault: empty."""
    if signal not in tree.names(node):
        value = interpreter.number(node, env)
        return [] if value is None else [(0.0, value)]
    if isinstance(node, tree.Name):
        return [(1.0, 0.0)]
    if isinstance(node, tree.Unary):
        inner = _forms(node.operand, signal, env)
        return None if inner is None else [(-a, -b) for a, b in inner]
    # the two sides of an operation, or the two branches of a choice: where it changes is its test's border
    first, second = (_forms(part, signal, env) for part in tree.children(node)[-2:])
    if first is None or second is None or len(first) * len(second) > _MOST_FORMS:
        return None
    return _joined(node.op, first, second) if isinstance(node, tree.Arithmetic) else [*first, *second]


def _joined(op: str, first: list[Form], second: list[Form]) -> list[Form] | None:
    found: list[Form] = []
    for (a, b), (c, d) in product(first, second):
        if op in "+-":
            sign = 1.0 if op == "+" else -1.0
            found.append((a + sign * c, b + sign * d))
        elif op == "/":
            found.append((a / d, b / d))
        elif a == 0.0 or c == 0.0:
            found.append((a * d + c * b, b * d))
        else:
            return None
    return found


def _is_truth(node: tree.Node) -> bool:
    if isinstance(node, tree.Conditional):
        return _is_truth(node.then)
    if isinstance(node, tree.Unary):
        return node.op == "!"
    return isinstance(node, (tree.Bool, tree.Flag, tree.Compare, tree.Logic, tree.Within))


def _sampled(spec: SignalSpec, at: float, test: Test) -> Iterator[float]:
    far = _FAR * max(1.0, abs(at))
    low, high = max(spec.low, -far), min(spec.high, far)
    points = sorted({at, *(low + (high - low) * i / SAMPLES for i in range(SAMPLES + 1))})
    for left, right in pairwise(points):
        if test(left) is not test(right):
            yield _closed_in(left, right, test)


def _closed_in(low: float, high: float, test: Test) -> float:
    """The value at the change between `low` and `high`, on the side where `test` holds, as near as floats get."""
    held = test(low)
    for _ in range(_HALVINGS):
        middle = low + (high - low) / 2.0
        if middle in (low, high):
            break
        low, high = (middle, high) if test(middle) is held else (low, middle)
    return low if held else high
