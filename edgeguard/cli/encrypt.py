"""`edgeguard encrypt`: a copy of a bundle whose model only a device with the content key can read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog="Example: edgeguard encrypt models/primary --key keys/content.key --out models/primary-encrypted"
    )(encrypt)


def encrypt(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Bundle folder with a plain model.")],
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="Content key: a file, tpm:PATH or pkcs11:...")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="New folder for the encrypted bundle.")],
) -> None:
    """Encrypt the model of a bundle into a new folder, to be signed there. The original stays as it is."""
    from edgeguard.admission.encrypt import encrypt_bundle
    from edgeguard.keystores import open_secret

    place = encrypt_bundle(bundle, open_secret(key), out)
    typer.echo(
        f"{place}: encrypted, not signed; sign it with `edgeguard sign {place} --key KEY --decrypt {key}`"
    )
