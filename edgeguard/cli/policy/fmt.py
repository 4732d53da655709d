"""`edgeguard policy fmt`: policy files laid out in the one way; what they say and every comment stays."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import Diagnostic, PolicyError

if TYPE_CHECKING:
    from edgeguard.desk.fmt import Formatted

FINDINGS = 5


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy fmt --check policies/*.yaml")(fmt)


def fmt(
    files: Annotated[list[Path], typer.Argument(help="The policy files.", metavar="FILE...")],
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 5 when a file would change.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
    stdout: Annotated[
        bool, typer.Option("--stdout", help="Change nothing; print the formatted text.")
    ] = False,
) -> None:
    """Lay policy files out in the one way. What they say and every comment stays; what does not read is refused."""
    formatted = _format_all(files)
    changed = [file for file in formatted if file.changed]
    if stdout:
        for file in formatted:
            typer.echo(file.after, nl=False)
    if diff:
        for file in changed:
            typer.echo(_diff(file), nl=False)
    if check:
        for file in changed:
            typer.echo(f"{file.path}: would change")
        if changed:
            raise typer.Exit(FINDINGS)
    if not (check or diff or stdout):
        for file in changed:
            _write(file)


def _format_all(files: list[Path]) -> list[Formatted]:
    """All files, or every finding of all that do not read: then none is written."""
    from edgeguard.desk.fmt import format_file

    formatted: list[Formatted] = []
    found: list[Diagnostic] = []
    for path in files:
        try:
            formatted.append(format_file(path))
        except PolicyError as error:
            found += error.diagnostics
    if found:
        raise PolicyError(tuple(found))
    return formatted


def _diff(file: Formatted) -> str:
    before, after = (text.splitlines(keepends=True) for text in (file.before, file.after))
    lines = difflib.unified_diff(before, after, str(file.path), f"{file.path} (formatted)")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ no newline at the end of the file\n" for line in lines
    )


def _write(file: Formatted) -> None:
    from edgeguard.desk.fmt import replace_text

    replace_text(file.path, file.after)
    typer.echo(f"{file.path}: formatted")
    signature = file.path.with_name(f"{file.path.name}.sig")
    if signature.exists():
        typer.echo(f"{signature}: no longer fits; sign the policy again with `edgeguard sign`", err=True)
