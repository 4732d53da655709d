"""Conditions as formulas over the reals: one variable and one health flag a signal, one formula a truth.

Means what `docs/reference/policy.md` says, but for the rounding of doubles: sums are exact here. Constants are folded
as the compiler folds them. Nothing here asks a solver.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from edgeguard.desk.solve.backend import Formula, Term, z3
from edgeguard.desk.solve.bounds import LARGEST, Bounds, Ranges, may_overflow
from edgeguard.policy.expr import interpreter, tree
from edgeguard.program import SignalSpec

_COMPARE: Mapping[str, Callable[[Term, Term], Formula]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[Term, Term], Term]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


class Truths(NamedTuple):
    """When a condition is true, false and a fault: exactly one of the three holds for every input."""

    true: Formula
    false: Formula
    fault: Formula

    @property
    def holds(self) -> Formula:
        """True or a fault: what activates a rule."""
        return z3.Or(self.true, self.fault)


@dataclass(frozen=True, slots=True)
class Space:
    """Every input that the conditions of a policy can see in one step.

    `values[NAME]`: a Real within the signal's range (also of a `class`: one of its indices), a Bool of a `bool`.
    `healthy[NAME]`: its health; the value of an unhealthy signal means nothing. `tag` sets apart the variables of
    several spaces in one formula, say of two steps.
    """

    signals: tuple[SignalSpec, ...]
    values: Mapping[str, Term]
    healthy: Mapping[str, Formula]
    domain: Formula
    """Every value is one that a healthy signal can have."""
    constants: Mapping[str, float]
    """By `calibrated.NAME`."""
    terms: Mapping[str, Term]
    """Every number that a condition can name: signals, constants, and what `naming` added."""
    ranges: Ranges
    """The bounds of the same."""

    @classmethod
    def of(cls, signals: Sequence[SignalSpec], thresholds: Mapping[str, float], *, tag: str = "") -> Space:
        """The inputs of a policy with these signals and calibrated thresholds."""
        values = {s.name: _variable(s, tag) for s in signals}
        constants = {f"calibrated.{name}": value for name, value in thresholds.items()}
        return cls(
            signals=tuple(signals),
            values=values,
            healthy={s.name: z3.Bool(f"{s.name} is healthy{tag}") for s in signals},
            domain=z3.And([_within(s, values[s.name]) for s in signals]),
            constants=constants,
            terms={**values, **{name: real(value) for name, value in constants.items()}},
            ranges={
                **{s.name: Bounds(s.low, s.high) for s in signals},
                **{name: Bounds(value, value) for name, value in constants.items()},
            },
        )

    def all_healthy(self) -> Formula:
        """No signal is at fault."""
        return z3.And([*self.healthy.values()])

    def naming(self, words: Mapping[str, Term], ranges: Ranges) -> Space:
        """The same variables, with further numbers to name: `command.brake`, or `authority` in an invariant."""
        return replace(self, terms={**self.terms, **words}, ranges={**self.ranges, **ranges})

    def truths(self, node: tree.Node) -> Truths:
        """When the condition is true, false and a fault."""
        fault = self.fault(node)
        holds = self.truth(node)
        return Truths(z3.And(z3.Not(fault), holds), z3.And(z3.Not(fault), z3.Not(holds)), fault)

    def clear(self, when: tree.Node, clear: tree.Node | None) -> Truths:
        """The same of a rule's clear condition; None: not `when`, and a fault where `when` is one."""
        if clear is not None:
            return self.truths(clear)
        true, false, fault = self.truths(when)
        return Truths(false, true, fault)

    def fault(self, node: tree.Node) -> Formula:
        """A signal that the text mentions is at fault, or a sum in it is no finite number."""
        ill = [z3.Not(self.healthy[name]) for name in tree.names(node) if name in self.healthy]
        return z3.Or(*ill, *self.overflows(node))

    def overflows(self, node: tree.Node, *, surely: bool = False) -> list[Formula]:
        """One formula for every sum that may be no finite number at some values within the ranges.

        `surely`: leave out what rounding decides, so that a witness is one in doubles, too.
        """
        limit = real(LARGEST) * (z3.Q(101, 100) if surely else 1)
        found = []
        for part in tree.walk(node):
            if isinstance(part, tree.Arithmetic) and may_overflow(part, self.ranges):
                value = self.number(part)
                found.append(z3.Or(value > limit, value < -limit))
        return found

    def truth(self, node: tree.Node) -> Formula:
        """A condition's truth when nothing in it is a fault."""
        if isinstance(node, tree.Bool):
            return z3.BoolVal(node.value)
        if isinstance(node, tree.Flag):
            return self.values[node.name]
        if isinstance(node, tree.Unary):
            return z3.Not(self.truth(node.operand))
        if isinstance(node, tree.Logic):
            join = z3.And if node.op == "&&" else z3.Or
            return join(self.truth(node.left), self.truth(node.right))
        if isinstance(node, tree.Conditional):
            return z3.If(self.truth(node.test), self.truth(node.then), self.truth(node.otherwise))
        if isinstance(node, tree.Within):
            value = self.number(node.operand)
            return z3.Or([value == real(item) for item in node.items])
        if not isinstance(node, tree.Compare):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        side = self.number if is_number(node.left) else self.truth
        return _COMPARE[node.op](side(node.left), side(node.right))

    def number(self, node: tree.Node) -> Term:
        """A number's value when nothing in it is a fault."""
        known = interpreter.number(node, self.constants) if not tree.names(node) else None
        if known is not None:
            return real(known)
        if isinstance(node, tree.Name):
            return self.terms[node.name]
        if isinstance(node, tree.Member):
            return self.terms[f"{node.base}.{node.name}"]
        if isinstance(node, tree.Unary):
            return -self.number(node.operand)
        if isinstance(node, tree.Conditional):
            return z3.If(self.truth(node.test), self.number(node.then), self.number(node.otherwise))
        if not isinstance(node, tree.Arithmetic):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        return _ARITHMETIC[node.op](self.number(node.left), self.number(node.right))


def real(value: float) -> Term:
    """The exact value of a double."""
    exact = Fraction(value)
    return z3.RealVal(f"{exact.numerator}/{exact.denominator}")


def is_number(node: tree.Node) -> bool:
    """Whether a checked node gives a number rather than a truth."""
    if isinstance(node, tree.Conditional):
        return is_number(node.then)
    if isinstance(node, tree.Unary):
        return node.op == "-"
    return isinstance(node, (tree.Number, tree.Label, tree.Name, tree.Member, tree.Arithmetic))


def _variable(signal: SignalSpec, tag: str) -> Term:
    return z3.Bool(signal.name + tag) if signal.kind == "bool" else z3.Real(signal.name + tag)


def _within(signal: SignalSpec, value: Term) -> Formula:
    if signal.kind == "bool":
        return z3.BoolVal(val=True)
    if signal.kind == "class":
        # indices as reals, not as Ints: the solver stays in one arithmetic
        return z3.Or([value == index for index in range(-1, len(signal.labels))])
    if signal.whole:
        return z3.Or([value == index for index in range(math.ceil(signal.low), math.floor(signal.high) + 1)])
    low, high = Bounds(max(signal.low, -_MAX), min(signal.high, _MAX))
    return z3.And(value >= real(low), value <= real(high))


_MAX = float.fromhex("0x1.fffffffffffffp+1023")
"""The largest finite double: where a range is open, this is its end."""
