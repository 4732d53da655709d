"""Asks the solver, within a time limit, and reads its answer as plain values that a replay can use."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import NamedTuple

from edgeguard.desk.solve.backend import Formula, Term, z3
from edgeguard.desk.solve.encode import Space, real
from edgeguard.program import SignalSpec

TIMEOUT = 5.0
"""How long one question may take (s) unless the caller says otherwise."""

_STEP = 0.5
"""How long one step of making a witness plainer may take (s): it costs nothing but beauty."""


class Answer(Enum):
    """What the solver knows about a formula."""

    NEVER = "never"
    """No input satisfies it: proved."""
    WITNESS = "witness"
    UNKNOWN = "unknown"
    """It gave up, or ran out of time."""


Values = Mapping[str, float | None]
"""One input by signal name; None: at fault."""


class Found(NamedTuple):
    """An answer; with WITNESS also one input a space, with as many signals as possible at their nominal value."""

    answer: Answer
    values: tuple[Values, ...] = ()
    numbers: tuple[float, ...] = ()
    """What the further terms come to there."""


def ask(formula: Formula, *spaces: Space, timeout: float = TIMEOUT, terms: Sequence[Term] = ()) -> Found:
    """Is there an input within the domains of `spaces` at which `formula` holds?

    `timeout`: s for the question. `terms`: what else to give the value of.
    """
    search = _Search([formula, *(space.domain for space in spaces)])
    known, model = search.check(timeout)
    if model is None:
        return Found(known)
    search.model = model
    values = tuple(search.settle(space) for space in spaces)
    return Found(known, values, tuple(_double(search.model.eval(t, model_completion=True)) for t in terms))


def answer(formula: Formula, *spaces: Space, timeout: float = TIMEOUT) -> Answer:
    """The same as `ask` without reading the input: quicker."""
    return _Search([formula, *(space.domain for space in spaces)]).check(timeout)[0]


def never(formula: Formula, *spaces: Space, timeout: float = TIMEOUT) -> bool:
    """Whether it is proved that no input satisfies `formula`."""
    return answer(formula, *spaces, timeout=timeout) is Answer.NEVER


@dataclass(slots=True)
class _Search:
    """Facts that can hold together, and the last input at which they do."""

    facts: list[Formula]
    model: z3.ModelRef = None

    def check(self, timeout: float, *more: Formula) -> tuple[Answer, z3.ModelRef]:
        # a new solver each time: one that has been pushed falls back to a weaker procedure for products
        solver = z3.Solver()
        solver.set("timeout", max(1, int(timeout * 1000)))
        solver.add(*self.facts, *more)
        found = solver.check()
        if found == z3.sat:
            return Answer.WITNESS, solver.model()
        return (Answer.NEVER if found == z3.unsat else Answer.UNKNOWN), None

    def fix(self, fact: Formula) -> bool:
        """Keep `fact` where the facts still hold together."""
        known = z3.is_true(self.model.eval(fact, model_completion=True))
        model = self.model if known else self.check(_STEP, fact)[1]
        if model is None:
            return False
        self.facts.append(fact)
        self.model = model
        return True

    def settle(self, space: Space) -> dict[str, float | None]:
        """Fix every signal to a double, the plainest that the facts allow, and read them all."""
        found: dict[str, float | None] = {}
        for signal in space.signals:
            health, value = space.healthy[signal.name], space.values[signal.name]
            if not self.fix(health):
                self.fix(z3.Not(health))
                found[signal.name] = None
            elif signal.kind == "bool":
                nominal = bool(signal.nominal)
                found[signal.name] = float(nominal == self.fix(value == z3.BoolVal(nominal)))
            else:
                found[signal.name] = self.number(signal, value)
        return found

    def number(self, signal: SignalSpec, value: Term) -> float:
        if self.fix(value == real(signal.nominal)):
            return signal.nominal
        near = _rounded(self.model.eval(value, model_completion=True), signal)
        for candidate in _plain(signal, near):
            if self.fix(value == real(candidate)):
                return candidate
        return near


def _plain(signal: SignalSpec, near: float) -> Iterator[float]:
    """Numbers that a person would choose, then the nearest double."""
    for digits in range(7):
        candidate = round(near, digits)
        if signal.low <= candidate <= signal.high:
            yield candidate
    yield near


def _rounded(value: Term, signal: SignalSpec) -> float:
    """The double nearest to a model's value, inside the range."""
    largest = sys.float_info.max
    return min(max(_double(value), signal.low, -largest), signal.high, largest)


def _double(value: Term) -> float:
    """The double nearest to a model's value, which may be infinite."""
    if z3.is_algebraic_value(value):
        value = value.approx(30)
    exact = Fraction(value.numerator_as_long(), value.denominator_as_long())
    try:
        return float(exact)
    except OverflowError:
        return math.copysign(math.inf, exact)
