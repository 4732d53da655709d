"""What verbs share: the output format, JSON on stdout, and the keys a device trusts.

No verb lives here, and nothing here opens a model, a port or a log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.admission import Trust

TRUST = "EDGEGUARD_TRUST"


class Format(str, Enum):
    """How a verb answers."""

    TEXT = "text"
    JSON = "json"


PolicyArgument = Annotated[Path, typer.Argument(help="The policy file.", metavar="POLICY")]
TimeoutOption = Annotated[
    float,
    typer.Option("--timeout", min=0.001, max=600.0, help="Seconds that one question to the solver may take."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to answer.")]


def print_json(value: object) -> None:
    """Write one JSON document to stdout; NaN and infinities have no place in it."""
    typer.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def trusted_keys(paths: Sequence[Path]) -> Trust:
    """Load the keys named by `--trust`, or by the environment where there is no such option.

    Raises: UsageError when none is named, or one cannot be read.
    """
    from edgeguard.admission import trust_keys

    named = list(paths) or [Path(p) for p in os.environ.get(TRUST, "").split(":") if p]
    return trust_keys(named)


def write_text(path: Path, text: str, *, source: Path | None = None) -> None:
    """Write a text file, never over `source`, which it was made from. Raises: UsageError when that cannot be done."""
    try:
        if source is not None and path.exists() and path.samefile(source):
            raise UsageError(f"`{path}` is the policy itself: write to another file")
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"cannot write `{path}`: {(error.strerror or 'unknown reason').lower()}"
        raise UsageError(message) from error
