"""`edgeguard probe`: what this machine offers for a worker's sandbox and for models, by trying. Changes nothing."""

from __future__ import annotations

import typer

from edgeguard.cli.output import Format, FormatOption, print_json


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("probe", epilog="Example: edgeguard probe --format json")(probe)


def probe(output: FormatOption = Format.TEXT) -> None:
    """Say which sandbox level a worker reaches on this machine, as this user, which backends it has, and why not."""
    from edgeguard.isolation.sandbox import probe as ask

    # The sandbox first: it is found out by a process that has no threads yet.
    found = {"sandbox": dict(ask()), "backends": _backends()}
    if output is Format.JSON:
        print_json(found)
        return
    width = max(len(name) for section in found.values() for name in section)
    for title, section in found.items():
        typer.echo(title)
        for name, state in section.items():
            typer.echo(f"  {name:<{width}}  {state}")


def _backends() -> dict[str, str]:
    """Which backends a policy may name here, and why not the others."""
    from edgeguard.inference.backends import available

    return available()
