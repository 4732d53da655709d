"""`edgeguard keys`: make keys, show what a policy pins, change to a new key, and revoke an old one.

Never prints a private key, and never overwrites one.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli import revoking, rotating
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.cli.showing import Shown

group = typer.Typer(
    help="Make keys, show what a policy pins, rotate and revoke.", no_args_is_help=True, rich_markup_mode=None
)


class Curve(str, Enum):
    """A curve of signing keys, as EC P-..."""

    P256 = "256"
    P384 = "384"
    P521 = "521"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    rotating.register(group)
    revoking.register(group)
    app.add_typer(group, name="keys")


@group.callback()
def _group() -> None:
    pass


@group.command(epilog="Example: edgeguard keys new keys/release")
def new(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="Writes NAME.key (secret, mode 0600) and NAME.pub.")
    ],
    public: Annotated[
        Path | None, typer.Argument(metavar="PUBLIC", help="Where the public half goes instead.")
    ] = None,
    curve: Annotated[Curve, typer.Option("--curve", help="EC P-256, P-384 or P-521.")] = Curve.P256,
    post_quantum: Annotated[
        bool,
        typer.Option(
            "--post-quantum", help="An ML-DSA-65 pair for second signatures: NAME.ml-dsa-65.key and .pub."
        ),
    ] = False,
    content: Annotated[
        bool, typer.Option("--content", help="A key of 32 bytes for encrypted bundles: NAME.key alone.")
    ] = False,
    tpm: Annotated[
        bool, typer.Option("--tpm", help="Seal it to this machine's TPM: NAME.tpm in place of NAME.key.")
    ] = False,
) -> None:
    """Make a key: a pair for signing bundles, calibrations and policies, or a content key."""
    if content and (post_quantum or public is not None or curve is not Curve.P256):
        raise UsageError(
            "a content key has no public half, curve or kind: leave `--content` or the others out"
        )
    if post_quantum and curve is not Curve.P256:
        raise UsageError("an ML-DSA-65 key has no curve: leave `--curve` or `--post-quantum` out")
    from edgeguard.cli import making

    if content:
        made = making.content_key(name, tpm=tpm)
    elif post_quantum:
        made = making.second_pair(name, public, tpm=tpm)
    else:
        made = making.signing_pair(name, public, curve=f"P-{curve.value}", tpm=tpm)
    typer.echo(f"{made.private}: {made.about}")
    if made.public != made.private:
        typer.echo(f"{made.public}: the public key; goes to every device")


@group.command(epilog="Example: edgeguard keys show keys/release.pub")
def show(
    where: Annotated[
        str, typer.Argument(metavar="KEY", help="A key or certificate file, pkcs11:... or tpm:PATH.")
    ],
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE.pub", help="Write the public half of a private key here."),
    ] = None,
) -> None:
    """Print a key or certificate as the entry of a policy. Never prints a private key."""
    from edgeguard.cli import showing

    found: Shown = showing.look(where)
    if write is not None:
        found = showing.written(found, write)
    typer.echo(found.entry())
