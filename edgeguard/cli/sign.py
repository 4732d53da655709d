"""`edgeguard sign`: sign a model bundle (a folder) or a single file (a policy or a calibration)."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.cli.output import DecryptOption

if TYPE_CHECKING:
    from edgeguard.admission.sign import Pen
    from edgeguard.terms import Limits

SecondOption = Annotated[
    str | None,
    typer.Option("--second", metavar="KEY", help="ML-DSA-65 private key that signs besides; or tpm:PATH."),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="CHAIN.pem", help="Certificates for the key, its own first."),
]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: edgeguard sign models/primary --key keys/release.key")(sign)


def sign(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Bundle folder, policy or calibration.")],
    key: Annotated[
        str,
        typer.Option("--key", metavar="KEY", help="Private key: a PEM file, pkcs11:... or tpm:PATH."),
    ],
    certificate: CertificateOption = None,
    second: SecondOption = None,
    decrypt: DecryptOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", metavar="POLICY", help="Allow a graph what this policy's `admission.limits` allow it."
        ),
    ] = None,
) -> None:
    """Sign a bundle folder (writes PATH/model.sig) or a file (writes PATH.sig)."""
    from edgeguard.admission import sign_bundle, sign_file
    from edgeguard.admission.decryption import secrets_from
    from edgeguard.admission.post_quantum import SUFFIX
    from edgeguard.keystores import open_secret, open_signing_key

    signer, with_what = open_signing_key(key), pen(certificate, second)
    if path.is_dir():
        secrets = secrets_from(decrypt or (), open_secret)
        signature = sign_bundle(path, signer, with_what, secrets=secrets, limits=_limits(policy))
    else:
        signature = sign_file(path, signer, with_what)
    typer.echo(f"{signature}: signed")
    if second is not None:
        typer.echo(f"{signature}{SUFFIX}: signed")


def _limits(policy: Path | None) -> Limits:
    """What this policy allows a graph; None: the usual. Raises: PolicyError, UsageError."""
    from edgeguard.terms import Limits

    if policy is None:
        return Limits()
    from edgeguard.policy import admission_terms, check_policy

    return admission_terms(check_policy(policy), base=policy.parent).limits


def pen(certificate: Path | None, second: str | None) -> Pen:
    """What these options sign with besides the key. Raises: UsageError when it cannot be read."""
    from edgeguard.admission.sign import Pen, load_chain
    from edgeguard.admission.trust import Moment
    from edgeguard.keystores import open_second_key

    return Pen(
        chain=load_chain(certificate) if certificate is not None else (),
        second=open_second_key(second) if second is not None else None,
        now=Moment(time.time()),
    )
