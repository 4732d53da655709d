"""Why a policy decided as it did: the rules that hold, their values against their thresholds, and what would let go.

From the readings of one step, whether a trial's or a recorded verdict's; decides nothing and opens no file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edgeguard.decision.table import RuleRow, Span, Truth
from edgeguard.desk.coverage import expressions
from edgeguard.desk.levers import Env, Lever, lever
from edgeguard.desk.unparse import unparse
from edgeguard.desk.wording import place
from edgeguard.policy.diagnostics import Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.source import Path
from edgeguard.policy.sources import FAULT_PREFIX
from edgeguard.program import Program, SignalSpec
from edgeguard.types import Cause, Reading, Status

Standing = Literal["active", "coming", "quiet"]
"""Acting and holding; holding, and not believed yet; still a cause, and not holding any more."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison of a condition. `sides`: the numbers that it compares, None at fault; of a signal that is a truth
    by itself and of what is looked up in a list only the one."""

    place: Place
    text: str
    outcome: Truth
    sides: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that holds, or has not let go."""

    row: RuleRow
    place: Place
    standing: Standing
    since: float | None
    """When it became active (s); None while it is not."""
    expired: bool
    """A human was asked, and nobody took over in time."""
    holds: tuple[Compared, ...]
    """The comparisons of its condition."""
    clears: tuple[Compared, ...]
    """Those of its clear condition, where it has one of its own."""
    levers: tuple[Lever, ...] | None
    """Each signal that could do it alone, and from where on the rule would let go; empty: no single signal can. None:
    nothing has to change but time, or it is a fault's own rule."""
    faults: tuple[str, ...]
    """What is wrong with the signals that it reads, in words."""

    @property
    def needs(self) -> Span:
        """How long what happens next has to last: its condition while it is coming, else its clear condition."""
        return self.row.hold if self.standing == "coming" else self.row.clear


def reasons(
    document: PolicyDocument, program: Program, readings: Sequence[Reading], causes: Sequence[Cause]
) -> tuple[Reason, ...]:
    """Every rule that is a cause or holds at these readings: in the order of the causes, then of the file.

    `causes`: those of the verdict, then its notices.
    """
    rows = {row.id: row for row in (*program.table.rules, *program.watched)}
    known = {cause.rule: cause for cause in causes if cause.rule in rows}
    search = _Search(document, program, readings)
    order = dict.fromkeys((*known, *rows))
    found = (search.reason(rows[name], known.get(name)) for name in order)
    return tuple(reason for reason in found if reason is not None)


class _Search:
    """One step's values, and where everything stands."""

    def __init__(self, document: PolicyDocument, program: Program, readings: Sequence[Reading]) -> None:
        self._document = document
        self._specs = {spec.name: spec for spec in program.signals}
        self._readings = {reading.name: reading for reading in readings}
        self._triggers = {trigger.id: trigger for trigger in document.triggers}
        env: dict[str, float | None] = {
            r.name: r.value if r.status <= Status.SUSPECT else None for r in readings
        }
        env.update({f"calibrated.{name}": value for name, value in program.thresholds.items()})
        self._env: Env = env

    def reason(self, row: RuleRow, cause: Cause | None) -> Reason | None:
        """None for a rule that neither holds nor is a cause."""
        trigger = self._triggers.get(row.id)
        if trigger is None:
            return self._fault(row, cause)
        holding = interpreter.truth(trigger.when, self._env) is not Truth.FALSE
        if cause is None and not holding:
            return None
        parts = [(path, node) for name, path, node in expressions(self._document) if name == row.id]
        standing: Standing = "quiet" if not holding else "active" if cause else "coming"
        clearing = trigger.clear if cause else None
        names = dict.fromkeys((*tree.names(trigger.when), *(tree.names(clearing) if clearing else ())))
        return Reason(
            row=row,
            place=self._document.source.key(trigger.path),
            standing=standing,
            since=cause.since if cause else None,
            expired=cause is not None and cause.expired,
            holds=tuple(c for path, node in parts if "clear" not in path for c in self._compared(path, node)),
            clears=tuple(c for path, node in parts if "clear" in path for c in self._compared(path, node)),
            levers=self._levers(trigger.when, clearing, tuple(names)),
            faults=tuple(self._wrong(name) for name in names if self._env.get(name) is None),
        )

    def _fault(self, row: RuleRow, cause: Cause | None) -> Reason | None:
        name = row.id[len(FAULT_PREFIX) :]
        holding = self._env.get(name) is None
        if cause is None and not holding:
            return None
        standing: Standing = "quiet" if not holding else "active" if cause else "coming"
        return Reason(
            row=row,
            place=self._document.source.key(("signals", name)),
            standing=standing,
            since=cause.since if cause else None,
            expired=cause is not None and cause.expired,
            holds=(),
            clears=(),
            levers=None,
            faults=(self._wrong(name),) if holding else (),
        )

    def _compared(self, path: Path, node: tree.Node) -> Iterator[Compared]:
        for part in tree.walk(node):
            if not isinstance(part, (tree.Compare, tree.Within, tree.Flag)):
                continue
            sides = tree.children(part) or (part,)
            yield Compared(
                place=place(self._document, path, part),
                text=unparse(part),
                outcome=interpreter.truth(part, self._env),
                sides=tuple(interpreter.number(side, self._env) for side in sides),
            )

    def _levers(
        self, when: tree.Node, clear: tree.Node | None, names: Sequence[str]
    ) -> tuple[Lever, ...] | None:
        def lets_go(env: Env) -> bool:
            quiet = interpreter.truth(when, env) is Truth.FALSE
            return quiet and (clear is None or interpreter.truth(clear, env) is Truth.TRUE)

        if lets_go(self._env):
            return None
        conditions = (when,) if clear is None else (when, clear)
        found = (lever(self._specs[name], conditions, self._env, lets_go) for name in names)
        return tuple(one for one in found if one is not None)

    def _wrong(self, name: str) -> str:
        return fault(self._specs[name], self._readings.get(name))


def fault(spec: SignalSpec, reading: Reading | None) -> str:
    """What is wrong with a signal at fault, in words."""
    if reading is None or reading.status is Status.UNKNOWN:
        return f"`{spec.name}` is missing"
    if reading.status is Status.STALE:
        return f"`{spec.name}` is stale: {reading.age:.3g} s old, and {spec.max_age:g} s at most is allowed"
    if reading.value is None or math.isnan(reading.value):
        return f"`{spec.name}` is not a number"
    if spec.low <= reading.value <= spec.high:
        return f"`{spec.name}` is {reading.value:g}, which is none of its values"
    return f"`{spec.name}` is {reading.value:g}, outside {spec.low:g} to {spec.high:g}"
