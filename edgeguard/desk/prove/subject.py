"""One policy as the theorems see it: its triggers, its fallback rows and all its inputs as formulas.

Asks the solver and changes nothing; what an answer means is the theorems' business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.decision.machine import advance, next_mode
from edgeguard.decision.table import RuleRow, Span
from edgeguard.desk.prove.modes import Modes, NextMode, explore
from edgeguard.desk.prove.rules import Advance
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.encode import Space, Truths
from edgeguard.desk.solve.search import Answer, Found, Values, answer, ask
from edgeguard.policy.diagnostics import Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.policy.sources import FAULT_PREFIX
from edgeguard.policy.triggers import Trigger
from edgeguard.program import Program
from edgeguard.types import Authority

AT_ONCE = Span()


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that takes authority: a declared trigger, or a signal's fault."""

    row: RuleRow
    trigger: Trigger | None
    """None: a fault."""
    signal: str = ""
    """Of a fault: whose."""

    @property
    def at_once(self) -> bool:
        """Without debounce."""
        return self.row.hold == AT_ONCE


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy, its inputs, and how long to think about it. `next_mode`, `advance`: the machine's, unless a test says
    otherwise."""

    document: PolicyDocument
    program: Program
    timeout: float
    space: Space
    other: Space
    """The same inputs once more, for two steps in one formula."""
    causes: tuple[Cause, ...]
    """Of the enforced triggers in file order, then of every signal."""
    modes: Modes
    advance: Advance

    @classmethod
    def of(
        cls,
        document: PolicyDocument,
        program: Program,
        *,
        timeout: float = 5.0,
        moves: NextMode = next_mode,
        rules: Advance = advance,
    ) -> Subject:
        """What there is to prove things about. `timeout`: s a question."""
        rows = {row.id: row for row in program.table.rules}
        declared = [Cause(rows[t.id], t) for t in document.triggers if t.mode == "enforce"]
        faults = [Cause(rows[FAULT_PREFIX + s.name], None, s.name) for s in program.signals]
        return cls(
            document=document,
            program=program,
            timeout=timeout,
            space=Space.of(program.signals, program.thresholds),
            other=Space.of(program.signals, program.thresholds, tag=" later"),
            causes=(*declared, *faults),
            modes=explore(moves, program.table.lockout_after, program.table.rules),
            advance=rules,
        )

    @property
    def declared(self) -> tuple[Cause, ...]:
        """The enforced rules and relations."""
        return tuple(c for c in self.causes if c.trigger is not None)

    def ask(self, *facts: Formula, two: bool = False) -> Found:
        """Is there an input at which all `facts` hold? `two`: they speak of `other`, too."""
        spaces = (self.space, self.other) if two else (self.space,)
        return ask(z3.And(*facts), *spaces, timeout=self.timeout)

    def answer(self, *facts: Formula, two: bool = False) -> Answer:
        """The same, without a witness."""
        return answer(
            z3.And(*facts), *((self.space, self.other) if two else (self.space,)), timeout=self.timeout
        )

    def index(self, cause: Cause) -> int:
        """Where the cause stands among the truths that are seen."""
        return self.program.table.rules.index(cause.row)

    @property
    def handed(self) -> bool:
        """Whether anything can hand authority to the rules, or ask a human and let the rules act meanwhile."""
        return any(c.row.then is not Authority.SAFE_STATE for c in self.causes)

    def holds(self, cause: Cause) -> Formula:
        """The cause is there: its condition is true (all that it reads is healthy), or the signal is at fault."""
        if cause.trigger is None:
            return z3.Not(self.space.healthy[cause.signal])
        return self.space.truths(cause.trigger.when).true

    def counts(self, cause: Cause) -> Formula:
        """The condition counts as holding: true or a fault."""
        if cause.trigger is None:
            return z3.Not(self.space.healthy[cause.signal])
        return self.space.truths(cause.trigger.when).holds

    def none_at_once(self, least: Authority = Authority.RULES) -> Formula:
        """Nothing that demands at least `least` acts at once."""
        instant = [c for c in self.causes if c.at_once and c.row.then >= least]
        return z3.And([z3.Not(self.counts(c)) for c in instant])

    def rules_may_act(self) -> Formula:
        """Inputs at which the fallback rows may have to command: nothing demands the safe state at once.

        Whatever handed authority to the rules may have held before and not have cleared yet.
        """
        return self.none_at_once(Authority.SAFE_STATE)

    def rows(self) -> list[Formula]:
        """When each fallback row is the one that commands: it is true and every one before it false, none a fault."""
        found, before = [], z3.BoolVal(val=True)
        for i in range(len(self.program.fallback)):
            truths = self.space.truths(self.row_condition(i))
            found.append(z3.And(before, truths.true))
            before = z3.And(before, truths.false)
        return found

    def row_condition(self, i: int) -> tree.Node:
        """The condition of a fallback row."""
        always = tree.Bool(0, 0, value=True)
        return self.document.conditions.get(("fallback", i, "when"), always)

    def truths(self, cause: Cause, *, clear: bool = False, later: bool = False) -> Truths:
        """The truths of a declared trigger's `when`, or of its clear condition."""
        trigger = cause.trigger
        if trigger is None:
            raise AssertionError(cause)
        space = self.other if later else self.space
        return space.clear(trigger.when, trigger.clear) if clear else space.truths(trigger.when)

    def given(self, values: Values) -> dict[str, float | str]:
        """An input as a phase of a trial says it: only what is not nominal."""
        nominal = {s.name: s.nominal for s in self.program.signals}
        return {
            name: "missing" if value is None else value
            for name, value in values.items()
            if value is None or value != nominal[name]
        }

    def place(self, path: Path) -> Place:
        """Line and column (from 1) of what stands at `path`."""
        return self.document.source.key(path)

    def cause_place(self, cause: Cause) -> Place:
        """Where a rule, a relation or the signal of a fault is declared."""
        return self.place(cause.trigger.path if cause.trigger else ("signals", cause.signal))

    def seconds(self, span: Span) -> float:
        """The least time (s) that a span can take: a frame comes with every step."""
        frames = (span.frames - 1) * self.program.period if span.frames else 0.0
        return max(span.seconds, frames)


def counted(number: int, word: str) -> str:
    """A number of things in words."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def shown(values: Mapping[str, float | str] | Mapping[str, float]) -> str:
    """An input in words."""
    if not values:
        return "every signal nominal"
    return ", ".join(f"{name} {_number(value)}" for name, value in values.items())


def _number(value: float | str) -> str:
    if isinstance(value, str):
        return value
    text = f"{value:.6g}"
    return text if float(text) == value and math.isfinite(value) else repr(value)
