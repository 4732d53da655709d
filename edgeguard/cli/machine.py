"""`edgeguard probe`: what this machine offers for a worker's sandbox, found out by trying. Changes nothing."""

from __future__ import annotations

import typer

from edgeguard.cli.output import Format, FormatOption, print_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("probe", epilog="Example: edgeguard probe --format json")(probe)


def probe(output: FormatOption = Format.TEXT) -> None:
    """Say which sandbox level a worker reaches on this machine, as this user, and which layers it lacks and why."""
    from edgeguard.isolation.sandbox import probe as ask

    found = ask()
    if output is Format.JSON:
        print_json({"sandbox": dict(found)})
        return
    width = max(map(len, found))
    typer.echo("sandbox")
    for name, state in found.items():
        typer.echo(f"  {name:<{width}}  {state}")
