"""Every error edgeguard raises, in one tree.

EdgeguardError
├── PolicyError            the policy file is bad: carries every diagnostic       exit 3
├── AdmissionError         something on disk is not to be trusted or not whole    exit 4
├── ContractError          a model, frame or calibration does not fit its contract exit 4
├── UsageError             the caller is wrong: a path, an option, an argument     exit 2
├── LinkError              the port or the microcontroller cannot be used          exit 2
└── SourceError            a camera, video or folder of images cannot be read      exit 2

`PolicyError`, `AdmissionError` and `ContractError` say "the world is bad"; the others say "you called me wrong".
No error of this tree is ever raised on the frame path: there, bad data only removes authority.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class EdgeguardError(Exception):
    """Root of the tree. `exit_code` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding in a policy file. `line` and `column` count from 1."""

    code: str
    message: str
    file: str
    line: int
    column: int
    hint: str = ""

    def __str__(self) -> str:
        tail = f" ({self.hint})" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.code}: {self.message}{tail}"


class PolicyError(EdgeguardError):
    """The policy file is not valid. Holds all diagnostics, in file order."""

    exit_code = 3

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(str(d) for d in diagnostics))
        self.diagnostics = diagnostics


class AdmissionError(EdgeguardError):
    """A file is unsigned, altered, from an unknown signer or too old. `reason` is a stable code, `path` the file."""

    exit_code = 4

    def __init__(self, reason: str, path: str, message: str) -> None:
        super().__init__(f"{path}: {reason}: {message}")
        self.reason = reason
        self.path = path


class ContractError(EdgeguardError):
    """A model, a frame or a calibration does not have the declared names, shapes, types or ranges."""

    exit_code = 4


class UsageError(EdgeguardError):
    """The caller asked for something that cannot be: says what, and what to do instead."""

    exit_code = 2


class LinkError(UsageError):
    """The port cannot be opened, or what answers on it is not an edgeguard microcontroller."""


class SourceError(UsageError):
    """A camera, a video or a folder of images cannot be opened or read."""


def first_line(error: Exception) -> str:
    """What an error of somebody else's says, short enough for a message of ours."""
    return (str(error).splitlines() or ["no reason given"])[0]
