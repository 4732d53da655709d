"""Collects the findings of every stage, so that an engineer sees all of them at once and in file order.

No stage raises on its own: it reports here, and `Report.raise_if_any` is called where no later stage can go on.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from edgeguard.errors import Diagnostic, PolicyError
from edgeguard.policy.codes import CODES

MOST_SHOWN = 200
"""A hostile file may hold a finding per byte; after this many the rest is counted, not listed."""


MOST_COMPARED = 20_000
"""Pairs of letters that are compared for one hint; it is not worth more time."""


class Place(NamedTuple):
    """A position in the file, both counted from 1; columns in characters."""

    line: int
    column: int


START = Place(1, 1)


def quote(text: object) -> str:
    """User input in backticks, cut to a readable length and without line breaks."""
    shown = "".join(c if c.isprintable() else "?" for c in str(text)[:61])
    return f"`{shown[:57]}...`" if len(shown) > 60 else f"`{shown}`"


def suggest(word: str, known: Iterable[str]) -> str:
    """A did-you-mean hint for a misspelt word, or what there is to choose from, or nothing."""
    names = sorted(set(known))
    near = sorted((abs(len(n) - len(word)), n) for n in names if abs(len(n) - len(word)) <= 3)
    tried = [n for _, n in near[: MOST_COMPARED // max(len(word), 1) ** 2]]
    close = difflib.get_close_matches(word, tried, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    if 0 < len(names) <= 12:
        return "known: " + ", ".join(f"`{n}`" for n in names)
    return ""


@dataclass(slots=True)
class Report:
    """Findings about one file, in the order found."""

    file: str
    found: list[Diagnostic] = field(default_factory=list)
    suppressed: int = 0

    def add(self, code: str, message: str, place: Place, hint: str = "") -> None:
        """Record one finding. `code` must be in `CODES`."""
        if code not in CODES:
            raise AssertionError(code)
        finding = Diagnostic(code, message, self.file, place.line, place.column, hint)
        if self.full:
            self.suppressed += 1
        elif finding not in self.found[-8:]:
            self.found.append(finding)

    @property
    def full(self) -> bool:
        """Whether more findings would only be counted: then the stages stop looking for more."""
        return len(self.found) >= MOST_SHOWN

    def stop(self, code: str, message: str, place: Place, hint: str = "") -> NoReturn:
        """Record one finding after which nothing more can be read.

        Raises:
            PolicyError: always, with every finding so far.
        """
        self.add(code, message, place, hint)
        raise self.error()

    def raise_if_any(self) -> None:
        """Raises PolicyError with every finding, in file order, when there is one."""
        if self.found:
            raise self.error()

    def error(self) -> PolicyError:
        """All findings as the error to raise."""
        if self.suppressed:
            last = self.found[-1]
            message = f"{self.suppressed} more findings are not shown"
            self.found.append(Diagnostic(last.code, message, last.file, last.line, last.column))
            self.suppressed = 0
        return PolicyError(tuple(sorted(self.found, key=lambda d: (d.line, d.column, d.code))))
