"""Whom a command believes: keys, authorities and identities by option, as one `Trust`. Decides nothing itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.admission import Trust

TRUST = "EDGEGUARD_TRUST"

TrustOption = Annotated[
    list[Path] | None,
    typer.Option("--trust", metavar="KEY", help="Trusted public key; may be repeated. Or EDGEGUARD_TRUST."),
]
CaOption = Annotated[
    list[Path] | None,
    typer.Option("--ca", metavar="ROOT.pem", help="Trusted root certificate of signers; may be repeated."),
]
IdentityOption = Annotated[
    str, typer.Option("--identity", metavar="WHO", help="For whom the signer's certificate must be.")
]
KeylessOption = Annotated[
    Path | None,
    typer.Option("--keyless", metavar="ROOT.json", help="Sigstore's trusted root, for keyless signers."),
]
IssuerOption = Annotated[
    str, typer.Option("--issuer", metavar="URL", help="Who vouched for a keyless signer's identity.")
]
PostQuantumOption = Annotated[
    Path | None,
    typer.Option("--post-quantum", metavar="KEY", help="ML-DSA-65 public key that must sign besides."),
]


@dataclass(frozen=True, slots=True)
class Named:
    """What the options name. `identity`: for whom a certificate of `authorities` and `keyless` must be."""

    keys: Sequence[Path] = ()
    authorities: Sequence[Path] = ()
    identity: str = ""
    keyless: Path | None = None
    issuer: str = ""
    post_quantum: Path | None = None


def trust_of(named: Named) -> Trust:
    """Load what the options name, or the keys of `EDGEGUARD_TRUST` where they name nobody.

    Raises:
        UsageError: nobody is named, options do not go together, or a file cannot be read.
        AdmissionError: a root certificate is not one that may issue.
    """
    _check(named)
    from edgeguard.admission import load_public_keys
    from edgeguard.admission.authorities import load_authority, load_trusted_root
    from edgeguard.admission.second_keys import load_post_quantum
    from edgeguard.admission.trust import Grant, Trust, TrustedAuthority, TrustedIdentity, TrustedKey

    second = None if named.post_quantum is None else load_post_quantum(named.post_quantum)
    grant = Grant(post_quantum=second)
    keys = list(named.keys)
    if not keys and not named.authorities and named.keyless is None:
        keys = _of_environment()
    trust = Trust(
        keys=tuple(TrustedKey(key, grant) for key in load_public_keys(keys)),
        authorities=tuple(
            TrustedAuthority(load_authority(place), named.identity, grant) for place in named.authorities
        ),
        identities=()
        if named.keyless is None
        else (TrustedIdentity(load_trusted_root(named.keyless), named.identity, named.issuer, grant),),
        post_quantum=second is not None,
    )
    if not trust:
        raise UsageError(
            "no key to verify with: name one with `--trust KEY.pub`, or set `EDGEGUARD_TRUST`; or an authority with "
            "`--ca ROOT.pem`"
        )
    return trust


def trusted_keys(paths: Sequence[Path]) -> Trust:
    """Load the keys of `--trust`, or of the environment where there are none; nobody is trusted where that has none.

    Raises:
        UsageError: one cannot be read.
    """
    from edgeguard.admission import trust_keys

    return trust_keys(list(paths) or _of_environment())


def _of_environment() -> list[Path]:
    return [Path(place) for place in os.environ.get(TRUST, "").split(":") if place]


def _check(named: Named) -> None:
    """Refuse options that do not go together: one that does nothing would seem to protect."""
    if named.identity and not named.authorities and named.keyless is None:
        raise UsageError(
            "`--identity` is held against a certificate: name its root with `--ca` or `--keyless`"
        )
    if named.issuer and named.keyless is None:
        raise UsageError("`--issuer` goes with `--keyless`: name the trusted root, or leave it out")
    if named.keyless is not None and not (named.identity and named.issuer):
        raise UsageError(
            "`--keyless` needs `--identity` and `--issuer`: anybody can sign without a key, so say who may"
        )
