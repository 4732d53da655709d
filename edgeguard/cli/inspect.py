"""`edgeguard inspect`: what is in a bundle or a model, before anybody is trusted. Admits nothing, runs nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json

DENIED = 4


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard inspect models/primary")(inspect)


def inspect(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Bundle folder, ONNX file, policy or calibration.")
    ],
    output: FormatOption = Format.TEXT,
) -> None:
    """Show what is in it, without trusting it: files, claimed signer, manifest, model; and what would be refused."""
    from edgeguard.admission.examine import examine_bundle, examine_file
    from edgeguard.cli import examined

    look = examine_bundle if os.path.isdir(path) else examine_file  # noqa: PTH112 - never raises
    found = look(path)
    if output is Format.JSON:
        print_json(examined.values(found))
    else:
        typer.echo("\n".join(examined.lines(found)))
    for error in found.refused:
        typer.echo(f"error: {error}", err=True)
    if found.refused:
        raise typer.Exit(DENIED)
