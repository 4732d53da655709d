"""What a proof says: proved and how, refuted with a trace that was seen, or unknown. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from edgeguard.desk.findings import Finding
from edgeguard.desk.trial import Phase, Seen
from edgeguard.policy.diagnostics import Place


class Status(str, Enum):
    """What is known about a theorem."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Trace:
    """A run through the real runtime: what went in, from an armed and calm start, and every step that was seen."""

    phases: tuple[Phase, ...]
    starts: tuple[int, ...]
    """Index into `seen` of the first step of each phase."""
    seen: tuple[Seen, ...]
    """The armed start, then every step; the last one shows it."""


@dataclass(frozen=True, slots=True)
class Objection:
    """One reason why a theorem is not proved."""

    code: str
    message: str
    place: Place
    hint: str = ""
    trace: Trace | None = None
    """None: nothing happens that could be shown (a rule that never holds), or nothing was found (unknown)."""

    @property
    def unknown(self) -> bool:
        """Whether it is only not known to be true."""
        return self.code == UNKNOWN

    def finding(self, file: str) -> Finding:
        """The same as a finding about `file`."""
        return Finding(self.code, self.message, file, *self.place, self.hint)


UNKNOWN = "EG1610"


@dataclass(frozen=True, slots=True)
class Result:
    """One theorem about one policy."""

    name: str
    statement: str
    how: str
    """How it was decided: the method, and how far it reaches."""
    objections: tuple[Objection, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    """What else is worth telling, for programs."""

    @property
    def status(self) -> Status:
        """Refuted by any objection that is not a mere doubt."""
        if not self.objections:
            return Status.PROVED
        return Status.UNKNOWN if all(o.unknown for o in self.objections) else Status.REFUTED


def doubt(message: str, place: Place, hint: str = "give it more time with `--timeout`") -> Objection:
    """It is not known whether the theorem is true."""
    return Objection(UNKNOWN, message, place, hint)
