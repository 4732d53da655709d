"""`edgeguard policy schema`: the policy language as JSON Schema, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import write_text


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard policy schema -o policy.schema.json")(schema)


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it to a file.")
    ] = None,
    modeline: Annotated[
        bool,
        typer.Option("--modeline", help="Print the comment for the top of a policy that names the schema."),
    ] = False,
) -> None:
    """Print the JSON Schema of policies, for completion and checking in an editor; the same bytes every time."""
    from edgeguard.desk import schema as room

    if output is not None:
        write_text(output, room.schema_text())
    if modeline:
        typer.echo(room.modeline(output or room.SHIPPED))
    elif output is None:
        typer.echo(room.schema_text(), nl=False)
