"""From a policy's terms to loaded trust and admitted models: reads the files they name, checks their pins.

A pinned file is not signed itself: whoever can write to the disk could put their own in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.admission.authorities import load_pinned_authority, load_pinned_root
from edgeguard.admission.keys import load_pinned_keys, load_public_keys
from edgeguard.admission.second_keys import load_pinned_post_quantum
from edgeguard.admission.store import admit_bundle, admit_file, no_secrets
from edgeguard.admission.trust import Demands, Grant, Trust, TrustedAuthority, TrustedIdentity, TrustedKey

if TYPE_CHECKING:
    from edgeguard.admission.bundle import AdmittedModel, Secrets
    from edgeguard.admission.floor import Floor
    from edgeguard.admission.trust import Moment
    from edgeguard.program import ModelRef
    from edgeguard.terms import AdmissionTerms


def trust_keys(paths: Sequence[str | Path]) -> Trust:
    """Trust the public keys in these files (PEM) for everything.

    Raises:
        UsageError: a file is missing or does not hold one EC public key on a supported curve.
    """
    return Trust.of(load_public_keys(paths))


def load_trust(terms: AdmissionTerms) -> Trust:
    """Read the keys, root certificates and trusted roots that a policy pins.

    Raises:
        AdmissionError: `unknown-signer`, a file holds something else than what is pinned; `certificate-malformed` or
            `certificate-unfit`, a root certificate is of a kind that edgeguard does not accept.
        UsageError: a file is missing, or is no key or certificate.
    """
    keys, authorities, identities = [], [], []
    for term in terms.signers:
        second = load_pinned_post_quantum(term.post_quantum) if term.post_quantum else None
        grant = Grant(frozenset(term.signs), second)
        if term.key is not None:
            (key,) = load_pinned_keys([(term.key.path, term.key.sha256)])
            keys.append(TrustedKey(key, grant))
        if term.authority is not None:
            authorities.append(TrustedAuthority(load_pinned_authority(term.authority), term.identity, grant))
        if term.keyless is not None:
            root = load_pinned_root(term.keyless)
            identities.append(TrustedIdentity(root, term.identity, term.issuer, grant))
    return Trust(
        tuple(keys),
        tuple(authorities),
        tuple(identities),
        revoked=terms.revoked,
        post_quantum=terms.post_quantum,
    )


def admit_models(
    refs: Sequence[ModelRef],
    terms: AdmissionTerms,
    *,
    now: Moment | None = None,
    floor: Floor | None = None,
    secrets: Secrets = no_secrets,
    platform: str = "",
) -> dict[str, AdmittedModel]:
    """Admit the bundle of every place that a policy names, by role. `floor` None: this device remembers nothing.

    Raises:
        AdmissionError: with a reason, the offending file and what to do.
        UsageError: a key cannot be read.
    """
    trust = load_trust(terms)
    return {
        ref.role: admit_bundle(
            ref.path,
            trust,
            Demands(
                role=role_of(ref.role),
                security_version=terms.security_version,
                floor=floor.at(ref.role) if floor else 0,
                pin=ref.pin,
                manifest=admit_file(ref.manifest, trust, kind="manifest", now=now).data
                if ref.manifest
                else b"",
                assessment=None if role_of(ref.role) == "filter" else terms.assessment,
                claims=terms.claims,
                calibration_attested=terms.calibration_attested,
                limits=terms.limits,
                platform=platform,
                revoked=terms.revoked,
            ),
            now=now,
            secrets=secrets,
        )
        for ref in refs
    }


def role_of(place: str) -> str:
    """The role that a manifest must state for a place of the policy: alternates are primaries, others redundant."""
    kind = place.partition(".")[0]
    return kind if kind in ("primary", "filter", "fused") else "redundant"
