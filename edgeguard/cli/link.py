"""`edgeguard link ping` and `edgeguard link provision`: test the line to the microcontroller, make its device key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeguard.errors import UsageError

group = typer.Typer(help="Test the line to the microcontroller.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="link")


@group.command(epilog="Example: edgeguard link ping /dev/ttyACM0 --policy policies/sign_gate.yaml")
def ping(
    port: Annotated[str, typer.Argument(help="auto, a device, socket://host:port or unix:///path.")],
    policy: Annotated[
        Path,
        typer.Option("--policy", metavar="POLICY", help="The policy the microcontroller was built with."),
    ],
    key: Annotated[
        Path | None,
        typer.Option("--key", metavar="KEY", help="Device key; default: the policy's `link.key`."),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="SECONDS", min=0.1, max=3600.0, help="How long to measure.")
    ] = 2.0,
) -> None:
    """Measure the round trip with safe commands only; nothing is armed and nothing moves."""
    from edgeguard.link import load_device_key, open_link
    from edgeguard.link import ping as measure
    from edgeguard.policy import compile_draft

    program = compile_draft(policy).program
    settings = program.link
    path = key if key is not None else settings.key if settings is not None else ""
    if not path:
        message = f"`{policy}` names no device key under `link:`: add it, or give `--key`"
        raise UsageError(message)
    link = open_link(
        port,
        key=load_device_key(path),
        policy_hash=bytes.fromhex(program.digest),
        actuators=program.envelope,
        baud=settings.baud if settings is not None else 921_600,
    )
    try:
        typer.echo(str(measure(link, seconds)))
    finally:
        link.close()


@group.command(epilog="Example: edgeguard link provision keys/device-7.link.key")
def provision(path: Annotated[Path, typer.Argument(help="Where the new device key goes.")]) -> None:
    """Make a random device key, readable by its owner only. Build it into the microcontroller's firmware."""
    from edgeguard.link import new_device_key

    new_device_key(path)
    typer.echo(f"{path}: the device key; the host and this one microcontroller share it, nobody else")
