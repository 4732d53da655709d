"""What in a policy says nothing, repeats what is said, or depends on where it stands.

Finds, and changes nothing. Each finding names the rules that imply it, or an input that shows it. Needs `verify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeguard.decision.table import Truth
from edgeguard.desk.compare.fallback import Choices, choices
from edgeguard.desk.compare.order import number_text
from edgeguard.desk.compare.pairing import Logic, pair
from edgeguard.desk.compare.rows import Row, cover, rows
from edgeguard.desk.compare.side import Side
from edgeguard.desk.demands import most
from edgeguard.desk.findings import Finding, Severity
from edgeguard.desk.solve.backend import Formula, z3
from edgeguard.desk.solve.encode import Space
from edgeguard.desk.solve.search import TIMEOUT, Values
from edgeguard.policy.expr import interpreter
from edgeguard.policy.source import Path
from edgeguard.program import Program
from edgeguard.types import Authority


def analyze(side: Side, *, timeout: float = TIMEOUT) -> tuple[Finding, ...]:
    """Everything found, in file order. `timeout`: s a question; what is not answered is told as EG1610."""
    pairing = pair(side, side, timeout=timeout)
    program = side.program({spec.name: spec.nominal for spec in pairing.thresholds.signals})
    found = rows(side.document, program, pairing.old)
    subject = _Subject(
        side, program, pairing.old, pairing.logic, found, choices(side.document, program, pairing.old)
    )
    findings = [
        *subject.extremes(),
        *subject.repeated(),
        *subject.named_first(),
        *subject.unused_rows(),
        *subject.ordered_rows(),
        *subject.unsolved(),
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.line, finding.column, finding.code)))


@dataclass(frozen=True, slots=True)
class _Subject:
    """One policy, as formulas and as a program."""

    side: Side
    program: Program
    space: Space
    logic: Logic
    rows: tuple[Row, ...]
    ways: Choices

    def finding(
        self, code: str, path: Path, message: str, hint: str, severity: Severity = "warning"
    ) -> Finding:
        place = self.side.place(path)
        return Finding(code, message, self.side.document.file, place.line, place.column, hint, severity)

    def extremes(self) -> Iterator[Finding]:
        """EG1602 and EG1613: rules and relations whose conditions are never or always true while all is healthy."""
        healthy = self.space.all_healthy()
        for trigger in self.side.document.triggers:
            truths, name = self.space.truths(trigger.when), _called(trigger.path, trigger.id)
            if self.logic.implies(healthy, truths.false):
                hint = "no values within the ranges fulfil it; only a fault of what it reads sets it off"
                yield self.finding("EG1602", trigger.path, f"{name} never holds", hint)
            elif self.logic.implies(healthy, truths.true):
                hint = "all values within the ranges fulfil it"
                yield self.finding("EG1613", trigger.path, f"{name} always holds", hint)

    def repeated(self) -> Iterator[Finding]:
        """EG1602 and EG1611: rules and relations that could go, all of them, without a change of authority.

        From the last to the first, so that of two that say the same the first stays.
        """
        left = list(self.rows)
        for row in reversed(self.rows):
            others = [other for other in left if other is not row]
            by = () if row.path[0] == "signals" else cover(row, others, self.logic)
            if not by:
                continue
            left = others
            name, told = _called(row.path, row.id), ", ".join(_called(o.path, o.id) for o in by)
            hint = f"whenever it is active, so is {'one of ' if len(by) > 1 else ''}{told}"
            if all(other.row.then > most(row.row) for other in by):
                yield self.finding("EG1602", row.path, f"{name} is shadowed: it never decides", hint)
            else:
                # one that begins later may end a takeover that the other was there before
                late = row.row.then is Authority.SAFE_STATE and all(o.timing != row.timing for o in by)
                but = " unless a human has taken over" if late else ""
                yield self.finding("EG1611", row.path, f"{name} changes no verdict{but}", hint)

    def named_first(self) -> Iterator[Finding]:
        """EG1612: of causes that begin together and demand the same, the first in the file is named first."""
        groups: dict[object, list[Row]] = {}
        for row in self.rows:
            if row.path[0] != "signals" and self.together(row.holds, row.holds):
                groups.setdefault((row.row.then, row.row.hold), []).append(row)
        for group in groups.values():
            told: set[str] = set()
            for i, row in enumerate(group):
                others = [o for o in group[i + 1 :] if o.id not in told and self.meet(row, o)]
                told |= {other.id for other in others}
                if others:
                    names = ", ".join(f"`{other.id}`" for other in others)
                    message = f"where they begin together, `{row.id}` is named before {names}"
                    seen = self.input(z3.And(row.holds, others[0].holds, self.space.all_healthy()))
                    shown = f", as with {self.said(seen)}" if seen else ""
                    hint = f"it stands first{shown}; who acts is the same"
                    yield self.finding("EG1612", row.path, message, hint, "note")

    def unused_rows(self) -> Iterator[Finding]:
        """EG1602: fallback rows that never command."""
        for i, chosen in enumerate(self.ways.chosen[:-1]):
            if self.logic.implies(chosen, z3.BoolVal(val=False)):
                hint = "whenever it holds, a row above does, or one is at fault"
                yield self.finding("EG1602", ("fallback", i), "this fallback row never commands", hint)

    def ordered_rows(self) -> Iterator[Finding]:
        """EG1612: fallback rows that would command otherwise if they changed places with one below."""
        trees, commands = self.side.document.conditions, self.ways.commands
        conditions = [trees.get(("fallback", i, "when")) for i in range(len(self.program.fallback))]
        for i, one in enumerate(conditions):
            lines, shown = [], ""
            for j in range(i + 1, len(conditions)):
                other = conditions[j]
                if one is None or other is None or dict(commands[i]) == dict(commands[j]):
                    continue
                found = self.input(z3.And(self.ways.chosen[i], self.space.truths(other).true))
                if found is None:
                    continue
                lines.append(str(self.side.place(("fallback", j)).line))
                if not shown and all(interpreter.truth(n, found) is Truth.TRUE for n in (one, other)):
                    shown = f", as with {self.said(found)}, where line {lines[-1]} holds too"
            if lines:
                message = f"this row comes before line {', '.join(lines)}, and commands otherwise"
                hint = f"the first that holds commands{shown}"
                yield self.finding("EG1612", ("fallback", i), message, hint, "note")

    def meet(self, row: Row, other: Row) -> bool:
        """Whether two rows that can hold can do so at once."""
        return not row.reads & other.reads or self.together(row.holds, other.holds)

    def together(self, one: Formula, other: Formula) -> bool:
        """Whether two conditions may hold at once while all is healthy."""
        return not self.logic.implies(z3.And(self.space.all_healthy(), one), z3.Not(other))

    def input(self, formula: Formula) -> dict[str, float | None] | None:
        """An input, and the thresholds where they are not known, at which `formula` holds."""
        found = self.logic.possible(formula)
        if found is None:
            return None
        known = {f"calibrated.{name}": value for name, value in self.program.thresholds.items()}
        return {**known, **found[0], **found[1]}

    def said(self, values: Values) -> str:
        """The signals that are not nominal, in words."""
        shown = [
            f"{s.name} {'missing' if (v := values[s.name]) is None else f'= {number_text(v)}'}"
            for s in self.program.signals
            if values[s.name] != s.nominal
        ]
        return ", ".join(shown) or "every signal nominal"

    def unsolved(self) -> Iterator[Finding]:
        """EG1610: how much is not known."""
        if self.logic.unsolved:
            message = f"{self.logic.unsolved} questions about the rules were not answered in time"
            yield self.finding("EG1610", (), message, "give the solver more time with `--timeout`", "note")


def _called(path: Path, name: str) -> str:
    if path[0] == "signals":
        return f"the fault of `{path[1]}`"
    return f"{'relation' if path[0] == 'redundancy' else 'rule'} `{name}`"
