"""Signatures without a key (Sigstore): a certificate of minutes, and a log's proof of when it was used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.envelope import Opened
    from edgeguard.admission.fields import Fields
    from edgeguard.admission.trust import TrustedIdentity


def is_keyless(material: Fields) -> bool:
    """Whether the signature's material is a Sigstore certificate."""
    return "certificate" in material


def open_keyless(data: bytes, identities: Sequence[TrustedIdentity], path: str) -> Opened:
    """Verify a keyless signature against the trusted identities.

    Raises:
        AdmissionError: `signature-unsupported`, `unknown-signer`, `signature-invalid` or `identity-mismatch`.
    """
    raise refusal("signature-unsupported", path, "it was signed without a key")
