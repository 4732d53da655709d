"""`edgeguard policy doc`: a policy as a document for people, on paper or as a page in which it runs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import PolicyArgument, write_text
from edgeguard.errors import UsageError


class Medium(str, Enum):
    """What kind of document."""

    MD = "md"
    HTML = "html"


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy doc policies/sign_gate.yaml -o sign_gate.html")(doc)


def doc(
    file: PolicyArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to: .md or .html. Default: stdout."),
    ] = None,
    medium: Annotated[
        Medium | None, typer.Option("--format", help="What to write; by default as the file's suffix says.")
    ] = None,
) -> None:
    """Write a calibrated policy as Markdown, or as one page where a reader sets signals and sees the verdict."""
    from edgeguard.desk.page import html, markdown
    from edgeguard.policy import compile_draft

    chosen = medium or _by_suffix(output)
    draft = compile_draft(file)
    text = html(draft) if chosen is Medium.HTML else markdown(draft)
    if output is None:
        typer.echo(text, nl=False)
        return
    write_text(output, text, source=file)
    typer.echo(
        f"{output}: {draft.program.name} version {draft.program.version}, policy {draft.program.digest[:16]}"
    )


def _by_suffix(output: Path | None) -> Medium:
    if output is None:
        return Medium.MD
    found = {".md": Medium.MD, ".html": Medium.HTML, ".htm": Medium.HTML}.get(output.suffix.lower())
    if found is None:
        raise UsageError(f"`{output}` is neither .md nor .html; name the file so, or add `--format md|html`")
    return found
