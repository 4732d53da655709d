"""`edgeguard keys revoke`: what a policy no longer accepts: a key, a certificate, a bundle or a signed file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
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
    policy: Annotated[
        Path, typer.Argument(metavar="POLICY", help="The policy file; it has to be signed again.")
    ],
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT", help="Public key, certificate, bundle folder, signed file, or 64 hex digits."
        ),
    ],
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="Why, for whoever reads the policy.")
    ] = "",
) -> None:
    """Add keys, certificates, bundles or files to a policy's `admission.revoked`, and keep everything else."""
    from edgeguard.cli.amending import amend

    for one in what:
        digest = digest_of(one)
        signers, revoked = _vouching(policy)
        if digest in revoked:
            typer.echo(f"{one}: `{digest[:16]}…` was revoked already")
            continue
        told = f", note: {json.dumps(note, ensure_ascii=False)}" if note else ""
        trusted = signers.index(digest) if digest in signers else None
        if trusted is not None and len(signers) == 1:
            raise UsageError(
                f"`{one}` is the only signer in `{policy}`: let a new key in first, with `edgeguard keys rotate`"
            )
        amend(policy, "revoked", f'{{sha256: "{digest}"{told}}}', without=trusted)
        gone = ", and no signer any more" if trusted is not None else ""
        typer.echo(f"{one}: `{digest[:16]}…` is revoked in {policy}{gone}")
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


def _vouching(policy: Path) -> tuple[Sequence[str], Sequence[str]]:
    """The fingerprints of a policy's signers, and of what it has revoked. Raises: PolicyError, UsageError."""
    from edgeguard.policy.load import check_policy

    admission = check_policy(policy).policy.admission
    if admission is None:
        return (), ()
    return [signer.sha256 for signer in admission.signers], [entry.sha256 for entry in admission.revoked]
