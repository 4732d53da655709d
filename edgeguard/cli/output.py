"""What verbs share: options, the output format, JSON on stdout, and files that are written.

No verb lives here, and nothing here opens a model, a port or a log.
"""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.errors import UsageError


class Format(str, Enum):
    """How a verb answers."""

    TEXT = "text"
    JSON = "json"


PolicyArgument = Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")]
TimeoutOption = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.001,
        max=600.0,
        help="Seconds that one question to the solver may take.",
    ),
]
DecryptOption = Annotated[
    list[str] | None,
    typer.Option("--decrypt", metavar="KEY", help="Content key of an encrypted bundle; may be repeated."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to answer.")]


def print_json(value: object) -> None:
    """Write one JSON document to stdout; NaN and infinities have no place in it."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def write_text(path: Path, text: str, *, source: Path | None = None) -> None:
    """Write a text file, never over `source`, which it was made from. Raises: UsageError when that cannot be done."""
    try:
        if source is not None and path.exists() and path.samefile(source):
            raise UsageError(f"`{path}` is the policy itself: write to another file")
    except OSError as error:
        raise cannot_write(path, error) from error
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file. Raises: UsageError when that cannot be done."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> UsageError:
    """The error to raise when a file cannot be written."""
    return UsageError(f"cannot write `{path}`: {(error.strerror or 'unknown reason').lower()}")
