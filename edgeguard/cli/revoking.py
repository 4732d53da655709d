"""`edgeguard keys revoke`: what a policy no longer accepts: a key, a certificate, a bundle or a signed file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from edgeguard.errors import UsageError

_DIGEST = re.compile(r"[0-9a-f]{64}")


def register(group: typer.Typer) -> None:
    """Add the verb."""
    group.command(epilog="Example: edgeguard keys revoke policy.yaml keys/old.pub --note 'lost laptop'")(
        revoke
    )


def revoke(
    policy: Annotated[Path, typer.Argument(help="The policy file; it has to be signed again.")],
    what: Annotated[
        list[str],
        typer.Argument(help="Public key, certificate, bundle folder, signed file, or 64 hex digits."),
    ],
    note: Annotated[str, typer.Option("--note", help="Why, for whoever reads the policy.")] = "",
) -> None:
    """Add keys, certificates, bundles or files to a policy's `admission.revoked`, and keep everything else."""
    from edgeguard.cli.amending import amend

    for one in what:
        digest = digest_of(one)
        if digest in _revoked(policy):
            typer.echo(f"{one}: `{digest[:16]}…` was revoked already")
            continue
        told = f", note: {json.dumps(note, ensure_ascii=False)}" if note else ""
        amend(policy, "revoked", f'{{sha256: "{digest}"{told}}}')
        typer.echo(f"{one}: `{digest[:16]}…` is revoked in {policy}")
    _warn(policy)
    typer.echo(
        f"{policy}: raise `policy.version`, sign it again with `edgeguard sign`, and bring it to every device"
    )


def digest_of(what: str) -> str:
    """What is revoked: of a bundle the root digest, of a signed file its SHA-256, else a key's fingerprint.

    Raises:
        UsageError: it is nothing of these.
        AdmissionError: the bundle cannot be read.
    """
    from edgeguard.admission.signed import bundle_digest, file_digest
    from edgeguard.cli.showing import fingerprint

    if _DIGEST.fullmatch(what):
        return what
    path = Path(what)
    if path.is_dir():
        return bundle_digest(path)
    if path.is_file() and path.with_name(f"{path.name}.sig").exists():
        return file_digest(path)
    try:
        return fingerprint(what)
    except UsageError as error:
        raise UsageError(
            f"{error}; what can be revoked is a public key, a certificate, a bundle's folder, a signed file, or a "
            "SHA-256 of 64 hex digits"
        ) from None


def _revoked(policy: Path) -> frozenset[str]:
    from edgeguard.policy.load import check_policy

    admission = check_policy(policy).policy.admission
    return frozenset(entry.sha256 for entry in admission.revoked) if admission else frozenset()


def _warn(policy: Path) -> None:
    from edgeguard.policy.load import check_policy

    admission, gone = check_policy(policy).policy.admission, _revoked(policy)
    if admission and admission.signers and all(signer.sha256 in gone for signer in admission.signers):
        typer.echo("nobody is left who may sign: add the new key with `edgeguard keys rotate`", err=True)
