"""`edgeguard pull`: fetch what a repository offers to this device, admit it, and only then install it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json
from edgeguard.cli.remembering import StateOption, needed_state
from edgeguard.cli.trusting import (
    CaOption,
    IdentityOption,
    IssuerOption,
    KeylessOption,
    Named,
    PostQuantumOption,
    TrustOption,
    trust_of,
)

if TYPE_CHECKING:
    from edgeguard.admission import Floor


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog="Example: edgeguard pull https://example.org/edgeguard --state /var/lib/edgeguard --trust release.pub"
    )(pull)


def pull(
    source: Annotated[str, typer.Argument(help="Web address or folder of a repository.", metavar="SOURCE")],
    *,
    state: StateOption = None,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="root.json", help="The repository's root; given once, by hand."),
    ] = None,
    trust: TrustOption = None,
    ca: CaOption = None,
    identity: IdentityOption = "",
    keyless: KeylessOption = None,
    issuer: IssuerOption = "",
    post_quantum: PostQuantumOption = None,
    device: Annotated[
        str, typer.Option("--device", metavar="ID", help="Also what is offered to this device alone.")
    ] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Bring STATE/current up to date, or change nothing: fetch, verify, admit, then install in one step."""
    from edgeguard.delivery.needs import need_tuf

    need_tuf()
    trusted = trust_of(Named(trust or (), ca or (), identity, keyless, issuer, post_quantum))
    from edgeguard.cli.arriving import check_release
    from edgeguard.delivery.pull import open_source, provision, pull
    from edgeguard.delivery.roles import device_role
    from edgeguard.device.moment import RELEASED
    from edgeguard.here import Device

    if device:
        device_role(device)
    folder = needed_state(state)
    fetcher = open_source(source, folder)
    trusted_root = provision(folder, root)
    here = Device.here(_floor(folder))
    now = max(time.time(), RELEASED, here.floor.time if here.floor else 0.0)
    pulled = pull(
        fetcher,
        folder,
        trusted_root,
        lambda release: check_release(release, trusted, here),
        device=device,
        now=now,
    )
    if output is Format.JSON:
        print_json(
            {
                "current": str(pulled.folder),
                "release": pulled.folder.resolve().name,
                "changed": pulled.changed,
                "fetched": pulled.fetched,
                "own": pulled.own,
                "files": list(pulled.names),
            }
        )
        return
    if device and not pulled.own:
        typer.echo(
            f"nothing is offered to `{device}` alone: the repository has no role `{device_role(device)}`"
        )
    done = f"installed, {pulled.fetched} files fetched" if pulled.changed else "up to date"
    typer.echo(f"{pulled.folder}: {done}")
    for name in pulled.names:
        if name.startswith("policies/") and name.endswith((".yaml", ".yml")):
            typer.echo(f"policy {pulled.folder / name}")


def _floor(state: Path) -> Floor | None:
    """What this device remembers, where it was ever given a memory; a policy can ask for one."""
    from edgeguard.device.floor_file import FLOOR, KEY
    from edgeguard.device.floors import open_floor

    there = any(os.path.lexists(state / name) for name in (FLOOR, KEY))
    return open_floor(state) if there else None
