"""`edgeguard keys`: make a signing key pair, or show a public key. Never prints a private key, never overwrites one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(
    help="Make signing keys, and show what a policy pins.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.add_typer(group, name="keys")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: edgeguard keys new keys/release")
def new(
    name: Annotated[Path, typer.Argument(help="Writes NAME.key (secret, mode 0600) and NAME.pub.")],
    public: Annotated[Path | None, typer.Argument(help="Where the public half goes instead.")] = None,
) -> None:
    """Make an EC P-256 key pair for signing bundles, calibrations and policies."""
    from edgeguard.admission import new_key

    private_path, public_path = key_paths(name, public)
    private_path.parent.mkdir(parents=True, exist_ok=True)
    new_key(private_path, public_path)
    typer.echo(f"{private_path}: the private key; keep it off the device and out of version control")
    typer.echo(f"{public_path}: the public key; goes to every device")


@group.command(epilog="Example: edgeguard keys show keys/release.pub")
def show(
    public: Annotated[Path, typer.Argument(help="A public key file.")],
) -> None:
    """Print a public key's fingerprint, as the entry of a policy's `admission.signers`."""
    from edgeguard.admission import load_public_keys

    (key,) = load_public_keys([public])
    typer.echo(f'{{key: {public}, sha256: "{key.hint}"}}')


def key_paths(name: Path, public: Path | None) -> tuple[Path, Path]:
    """Return where both halves go: `x` and `x.key` both mean `x.key` and `x.pub`."""
    private = name if name.suffix == ".key" else name.with_name(f"{name.name}.key")
    return private, public if public is not None else private.with_suffix(".pub")
