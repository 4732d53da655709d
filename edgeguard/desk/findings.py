"""One finding of the desk: what is worth knowing about a policy that loads, and where it stands.

A policy that does not load has `edgeguard.errors.Diagnostic`s instead; both print the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, at which place of which file (line and column from 1). `code`: see `edgeguard.desk.codes`."""

    code: str
    message: str
    file: str
    line: int
    column: int
    hint: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        """`file:line:column: code: message (hint)`."""
        tail = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}{tail}"
