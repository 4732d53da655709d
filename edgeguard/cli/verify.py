"""`edgeguard verify`: would a device that trusts these keys admit this bundle or file? Runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeguard.cli.output import Format, FormatOption, print_json, trusted_keys
from edgeguard.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard verify models/primary --trust keys/release.pub")(verify)


def verify(
    path: Annotated[Path, typer.Argument(help="Bundle folder, policy or calibration.")],
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust", "--key", metavar="KEY", help="Trusted public key; may be repeated. Or EDGEGUARD_TRUST."
        ),
    ] = None,
    security_version: Annotated[
        int, typer.Option("--security-version", min=0, help="Refuse a bundle below this floor.")
    ] = 0,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check signature, digests and manifest exactly as the guard does at start."""
    keys = trusted_keys(trust or [])
    if not keys:
        message = "no key to verify with: name one with `--trust KEY.pub`, or set `EDGEGUARD_TRUST`"
        raise UsageError(message)
    from edgeguard.admission import Demands, admit_bundle, admit_file

    found: dict[str, object] = {"path": str(path), "admitted": True}
    if path.is_dir():
        model = admit_bundle(path, keys, Demands(security_version=security_version))
        manifest = model.manifest
        found |= {
            "digest": model.digest,
            "signer": model.signer,
            "name": manifest.name,
            "version": manifest.version,
            "security_version": manifest.security_version,
            "role": manifest.role,
        }
        what = f"{manifest.name} {manifest.version} ({manifest.role})"
    else:
        file = admit_file(path, keys)
        found |= {"digest": file.digest, "signer": file.signer}
        what = "file"
    if output is Format.JSON:
        print_json(found)
        return
    typer.echo(f"{path}: admitted: {what}")
    typer.echo(f"digest {found['digest']}")
    typer.echo(f"signer {found['signer']}")
