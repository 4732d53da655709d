"""What every check of the linter looks at: the document, its triggers and signals, the ranges, and where things stand.

Data and look-ups only; no check lives here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeguard.desk.findings import Finding, Severity
from edgeguard.desk.lint.ranges import Box, Interval, Search, key
from edgeguard.policy.compiler import signal_specs
from edgeguard.policy.diagnostics import Place, quote
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.policy.triggers import Trigger
from edgeguard.program import SignalSpec

MOST_VISITS = 50_000
"""Work of one run's range searches together: a hostile policy is linted in less than a second, with fewer findings."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One policy under the linter. `thresholds`: the calibrated ones; the others are any number of their range."""

    document: PolicyDocument
    specs: Mapping[str, SignalSpec]
    thresholds: Mapping[str, float]
    ranges: Mapping[str, Interval]
    """Of every signal by name, and of every threshold by `calibrated.NAME`."""
    search: Search

    def finding(
        self, code: str, message: str, place: Place, hint: str = "", severity: Severity = "warning"
    ) -> Finding:
        """A finding in this policy's file."""
        return Finding(code, message, self.document.file, place.line, place.column, hint, severity)

    def name(self, *path: str | int) -> Place:
        """Place of a key."""
        return self.document.source.key(path)

    def value(self, *path: str | int) -> Place:
        """Place of a value."""
        return self.document.source.value(path)

    def start(self, trigger: Trigger) -> Place:
        """Where a trigger's condition begins, or what it is about."""
        return self.document.source.inside((*trigger.path, "when"), 0)

    def clearing(self, trigger: Trigger) -> Place:
        """Where its clear condition begins; where the condition does when it has none of its own."""
        if trigger.clear is None:
            return self.start(trigger)
        return self.document.source.inside((*trigger.path, "clear", "when"), 0)

    def who(self, trigger: Trigger) -> str:
        """A trigger as messages call it."""
        return f"{'rule' if trigger.path[0] == 'rules' else 'the breach of'} {quote(trigger.id)}"

    def inside(self, path: Path, node: tree.Node) -> Place:
        """Place of a node of the expression at `path`."""
        return self.document.source.inside(path, node.at)

    def written(self, path: Path, node: tree.Node) -> str:
        """A node of the expression at `path` as the file has it, in backticks."""
        _, _, text = self.document.source.texts.get(path, (0, 0, ""))
        return quote(" ".join(text[node.at : node.end].split()))

    def box(self, *nodes: tree.Node) -> Box:
        """The ranges of everything that the nodes read."""
        parts = [part for node in nodes for part in tree.walk(node)]
        read = {name for part in parts if (name := key(part)) is not None and name in self.ranges}
        whole = frozenset(name for name in read if name in self.specs and self.specs[name].whole)
        return Box({name: self.ranges[name] for name in read}, whole)

    def calibrated(self, *nodes: tree.Node) -> bool:
        """Whether every threshold that the nodes mention is known."""
        return all(name in self.thresholds for node in nodes for name in tree.thresholds(node))

    def env(self, values: Mapping[str, float]) -> dict[str, float | None]:
        """Signals and thresholds for the interpreter."""
        return {**values, **{f"calibrated.{name}": value for name, value in self.thresholds.items()}}


def subject_of(document: PolicyDocument, thresholds: Mapping[str, float]) -> Subject:
    """Everything the checks need, looked up once."""
    specs = {spec.name: spec for spec in signal_specs(document)}
    ranges = {name: Interval(spec.low, spec.high) for name, spec in specs.items()}
    limits = {f"calibrated.{name}": interval for name, interval in ranges.items()}
    known = {f"calibrated.{name}": Interval(value, value) for name, value in thresholds.items()}
    return Subject(document, specs, thresholds, {**ranges, **limits, **known}, Search(MOST_VISITS))
