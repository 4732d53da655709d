"""`edgeguard verify`: would a device that trusts these signers admit this bundle or file? Runs nothing."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import DecryptOption, Format, FormatOption, print_json
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
    from edgeguard.admission import AdmittedFile, AdmittedModel, Trust
    from edgeguard.cli.held import Held


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard verify models/primary --trust keys/release.pub")(verify)


def verify(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Bundle folder, policy or calibration.")],
    *,
    trust: TrustOption = None,
    ca: CaOption = None,
    identity: IdentityOption = "",
    keyless: KeylessOption = None,
    issuer: IssuerOption = "",
    post_quantum: PostQuantumOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="POLICY",
            help="Hold it to this policy, which the options above vouch for: its signers, demands and limits.",
        ),
    ] = None,
    role: Annotated[
        str,
        typer.Option(
            "--role", metavar="ROLE", help="Place it is for: `primary`, a model of the policy, `calibration`."
        ),
    ] = "",
    security_version: Annotated[
        int,
        typer.Option("--security-version", metavar="N", min=0, help="Refuse a bundle below this version."),
    ] = 0,
    decrypt: DecryptOption = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check signature, digests and manifest exactly as the guard does at start."""
    named = Named(trust or (), ca or (), identity, keyless, issuer, post_quantum)
    held = _held(trust_of(named), policy, role, security_version, decrypt or [])
    admitted = held.admit(path)
    if output is Format.JSON:
        print_json(_values(path, admitted))
    else:
        typer.echo("\n".join(_lines(path, admitted)))


def _held(trust: Trust, policy: Path | None, role: str, version: int, decrypt: list[str]) -> Held:
    from edgeguard.admission import Moment
    from edgeguard.cli.held import held_to_nothing, held_to_policy

    now = Moment(time.time())
    held = held_to_nothing(trust, role, now) if policy is None else held_to_policy(policy, trust, role, now)
    terms = dataclasses.replace(
        held.terms,
        security_version=max(held.terms.security_version, version),
        content_keys=(*held.terms.content_keys, *decrypt),
    )
    return dataclasses.replace(held, terms=terms)


def _values(path: Path, admitted: AdmittedModel | AdmittedFile) -> dict[str, object]:
    """What programs read: every key is always there."""
    from edgeguard.admission import AdmittedModel
    from edgeguard.cli import stated

    found: dict[str, object] = {
        "path": str(path),
        "admitted": True,
        "kind": "bundle" if isinstance(admitted, AdmittedModel) else "file",
        "digest": admitted.digest,
        "signer": admitted.signer,
        "identity": admitted.identity,
    }
    return found | (stated.values(admitted.manifest) if isinstance(admitted, AdmittedModel) else {})


def _lines(path: Path, admitted: AdmittedModel | AdmittedFile) -> list[str]:
    from edgeguard.admission import AdmittedModel
    from edgeguard.cli import stated

    model = admitted.manifest if isinstance(admitted, AdmittedModel) else None
    what = "file" if model is None else f"{model.name} {model.version} ({model.role})"
    lines = [f"{path}: admitted: {what}", f"digest {admitted.digest}"]
    lines.append(f"signer {admitted.signer or 'none: the policy pins it'}")
    if admitted.identity:
        lines.append(f"identity {admitted.identity}")
    return lines + ([] if model is None else [f"{title} {text}" for title, text in stated.rows(model)])
