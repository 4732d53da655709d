"""What every check of a typed policy starts from: the policy, its places, and two ways to say what is wrong where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgeguard.policy.diagnostics import Report, quote, suggest
from edgeguard.policy.schema import Fallback, LocalRule, Policy
from edgeguard.policy.source import Path, Source

Row = Fallback | LocalRule
"""A condition, or none, and what it commands."""


@dataclass(frozen=True, slots=True)
class Findings:
    """A typed policy under check."""

    policy: Policy
    source: Source
    report: Report

    def at_key(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """A finding about a key, or about what is missing under it."""
        self.report.add(code, message, self.source.key(path), hint)

    def at_value(self, code: str, message: str, path: Path, hint: str = "") -> None:
        """A finding about a value."""
        self.report.add(code, message, self.source.value(path), hint)

    def suggest(self, word: str, known: Iterable[str]) -> str:
        """A hint for a misspelt word, as long as findings are shown."""
        return "" if self.report.full else suggest(word, known)

    def twice(self, code: str, what: str, entries: Iterable[tuple[str, Path]]) -> None:
        """Every name that stands at a second place, with where the first is."""
        first: dict[str, Path] = {}
        for name, path in entries:
            if name in first:
                line = self.source.value(first[name]).line
                message = f"{what} {quote(name)} stands here a second time"
                self.at_value(code, message, path, f"the first is at line {line}")
            first.setdefault(name, path)

    def budget(self, path: Path, key: str, then: str, within: float | None, otherwise: str | None) -> None:
        """A handover to a human needs a time budget, and only a handover has one."""
        if then == "human":
            if within is None:
                hint = "add `within: 4s`: how long a human has before `otherwise` acts"
                self.at_key("EG1303", f"`{key}: human` needs `within`", (*path, key), hint)
            return
        for extra, value in (("within", within), ("otherwise", otherwise)):
            if value is not None:
                message = f"`{extra}` is only for a handover to a human"
                self.at_key("EG1303", message, (*path, extra), "remove it")

    def rows(self, rows: Sequence[Row], path: Path) -> None:
        """Rows of which the first that holds commands: none behind one that always does, and each a whole command."""
        for i, row in enumerate(rows):
            if row.when is None and i + 1 < len(rows):
                message = "this fallback rule is never reached"
                self.at_value("EG1312", message, (*path, i + 1), "the one before it has no `when`")
            place = (*path, i, "command")
            self.actuators(row.command, place)
            self.inside(row.command, place)
            self.complete(row.command, place)

    def actuators(self, command: Mapping[str, float], path: Path) -> None:
        """Every name of a command must be an actuator's."""
        for name in command:
            if name not in self.policy.envelope:
                hint = self.suggest(name, self.policy.envelope)
                self.at_key("EG1305", f"the envelope has no {quote(name)}", (*path, name), hint)

    def inside(self, command: Mapping[str, float], path: Path) -> None:
        """Every value of a command must be in its actuator's range."""
        for name, value in command.items():
            limit = self.policy.envelope.get(name)
            if limit is not None and not limit.min <= value <= limit.max:
                message = f"{quote(name)} may be {limit.min:g} to {limit.max:g}, not {value:g}"
                self.at_value("EG1306", message, (*path, name))

    def complete(self, command: Mapping[str, float], path: Path) -> None:
        """A command must name every actuator."""
        for missing in [name for name in self.policy.envelope if name not in command]:
            message = f"the command does not name {quote(missing)}"
            self.at_key("EG1305", message, path, "name every actuator of the envelope")
