"""How much of a policy its tests have seen: every rule held and not, every comparison true and false, every row chosen.

Judges finished runs with the slow interpreter; never on the frame path. A condition counts only where it decides: a
clear condition while its rule is a cause, a fallback row while the fallback rules act and no row before it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgeguard.decision.table import Truth
from edgeguard.desk.cases import Result
from edgeguard.desk.findings import Finding
from edgeguard.desk.monitor import environment
from edgeguard.desk.trial import Seen
from edgeguard.desk.unparse import unparse
from edgeguard.desk.wording import place
from edgeguard.policy.diagnostics import Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import interpreter, tree
from edgeguard.policy.source import Path
from edgeguard.program import Program
from edgeguard.types import Authority, GateDecision

Kind = Literal["rule", "comparison", "row"]
_OUTCOMES: Mapping[Kind, tuple[str, ...]] = {
    "rule": ("held", "not held"),
    "comparison": ("true", "false"),
    "row": ("chosen",),
}
Env = Mapping[str, float | None]


@dataclass(slots=True)
class Point:
    """One thing to see, with the outcomes that were seen. `where`: the rule or row that it belongs to."""

    kind: Kind
    where: str
    text: str
    place: Place
    seen: set[str] = field(default_factory=set)

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every outcome there is."""
        return _OUTCOMES[self.kind]

    @property
    def missing(self) -> tuple[str, ...]:
        """The outcomes that no test showed."""
        return tuple(outcome for outcome in self.wanted if outcome not in self.seen)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every point of a policy, in file order."""

    file: str
    points: tuple[Point, ...]

    def by_kind(self) -> dict[Kind, tuple[int, int]]:
        """Outcomes seen, and outcomes there are, of each kind."""
        return {kind: _counted([p for p in self.points if p.kind == kind]) for kind in _OUTCOMES}

    def percent(self) -> float:
        """Share of all outcomes seen, 0 to 100; 100 where there is nothing to see."""
        seen, there = _counted(self.points)
        return 100.0 * seen / there if there else 100.0

    def gaps(self) -> tuple[Finding, ...]:
        """Every outcome that no test showed, with its place."""
        return tuple(
            Finding("EG1502", _gap(point), self.file, point.place.line, point.place.column, severity="note")
            for point in self.points
            if point.missing
        )


def coverage(document: PolicyDocument, program: Program, results: Sequence[Result]) -> Coverage:
    """What `results` have shown of the policy that they were run on."""
    measure = _Measure(document, program)
    for result in results:
        measure.run(result.seen)
    return Coverage(document.file, tuple(sorted(measure.points(), key=lambda point: point.place)))


def expressions(document: PolicyDocument) -> Iterator[tuple[str, Path, tree.Node]]:
    """Every condition that decides, as (rule or row, where it stands, its tree)."""
    trees = document.conditions
    for trigger in document.triggers:
        for key in ("when", "if", "expect", "agree"):
            path: Path = (*trigger.path, key)
            if path in trees:
                yield trigger.id, path, trees[path]
        if trigger.clear is not None:
            yield trigger.id, (*trigger.path, "clear", "when"), trigger.clear
    for i in range(len(document.policy.fallback)):
        path = ("fallback", i, "when")
        if path in trees:
            yield f"fallback row {i + 1}", path, trees[path]


def _counted(points: Sequence[Point]) -> tuple[int, int]:
    there = sum(len(point.wanted) for point in points)
    return there - sum(len(point.missing) for point in points), there


def _gap(point: Point) -> str:
    if point.kind == "rule":
        missing = {"held": "never held", "not held": "never let go"}
        return f"`{point.where}` {' and '.join(missing[outcome] for outcome in point.missing)}"
    text = f"was never {' and never '.join(point.missing)}"
    return f"`{point.where}` {text}" if point.kind == "row" else f"`{point.where}`: `{point.text}` {text}"


class _Measure:
    """Collects outcomes, each distinct step once."""

    def __init__(self, document: PolicyDocument, program: Program) -> None:
        self._program = program
        source = document.source
        self._rules = {
            trigger.id: Point("rule", trigger.id, trigger.text, source.key(trigger.path))
            for trigger in document.triggers
        }
        self._rows = [
            Point("row", f"fallback row {i + 1}", row.when or "otherwise", source.value(("fallback", i)))
            for i, row in enumerate(document.policy.fallback)
        ]
        self._comparisons: dict[tuple[str, str], list[tuple[tree.Node, Point]]] = {}
        self._trees = [
            document.conditions.get(("fallback", i, "when"), tree.Bool(0, 0, value=True))
            for i in range(len(self._rows))
        ]
        for where, path, node in expressions(document):
            key = (where, "clear" if "clear" in path else "when")
            self._comparisons.setdefault(key, []).extend(
                (part, Point("comparison", where, unparse(part), place(document, path, part)))
                for part in tree.walk(node)
                if isinstance(part, (tree.Compare, tree.Within, tree.Flag))
            )
        self._known: set[object] = set()

    def points(self) -> Iterator[Point]:
        yield from self._rules.values()
        yield from self._rows
        for comparisons in self._comparisons.values():
            yield from (point for _, point in comparisons)

    def run(self, steps: Iterable[Seen]) -> None:
        before: frozenset[str] = frozenset()
        for seen in steps:
            held = frozenset(cause.rule for cause in (*seen.causes, *seen.notices))
            key = (tuple(seen.values.items()), held, before, seen.fallback, _consulted(seen))
            if key not in self._known:
                self._known.add(key)
                self._step(seen, held, held | before)
            before = held

    def _step(self, seen: Seen, held: frozenset[str], clearing: frozenset[str]) -> None:
        env = environment(seen, self._program.thresholds)
        for name, point in self._rules.items():
            point.seen.add("held" if name in held else "not held")
            self._note((name, "when"), env)
            if name in clearing:
                self._note((name, "clear"), env)
        if not _consulted(seen):
            return
        for point, node in zip(self._rows, self._trees):
            self._note((point.where, "when"), env)
            truth = interpreter.truth(node, env)
            if truth is Truth.TRUE and seen.source is Authority.RULES:
                point.seen.add("chosen")
            if truth is not Truth.FALSE:
                break

    def _note(self, key: tuple[str, str], env: Env) -> None:
        for node, point in self._comparisons.get(key, ()):
            truth = interpreter.truth(node, env)
            if truth is not Truth.FAULT:
                point.seen.add("true" if truth is Truth.TRUE else "false")


def _consulted(seen: Seen) -> bool:
    """Whether the fallback rules were asked for the command that went out."""
    return seen.gate is GateDecision.SUBSTITUTE and seen.source in (Authority.RULES, Authority.SAFE_STATE)
