"""`edgeguard sign`: sign a model bundle (a folder) or a single file (a policy or a calibration)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard sign models/primary --key keys/release.key")(sign)


def sign(
    path: Annotated[Path, typer.Argument(help="Bundle folder, policy or calibration.")],
    key: Annotated[Path, typer.Option("--key", help="Private key, PEM, readable by its owner only.")],
) -> None:
    """Sign a bundle folder (writes PATH/model.sig) or a file (writes PATH.sig)."""
    from edgeguard.admission import sign_bundle, sign_file

    signature = sign_bundle(path, key) if path.is_dir() else sign_file(path, key)
    typer.echo(f"{signature}: signed")
