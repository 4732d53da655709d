"""Who a signature file says it is from. Nobody checks here whether that is so: for people, before they trust anybody.

Pure: bytes in, claims out. Nothing of this may decide what is admitted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from edgeguard.admission import strictjson
from edgeguard.admission.envelope import read_envelope
from edgeguard.admission.fields import Fields
from edgeguard.admission.reasons import refusal, shown
from edgeguard.admission.statement import Statement, parse_statement
from edgeguard.admission.x509 import Certificate, read_certificate

_RESIGN = "sign it again with `edgeguard sign`"


@dataclass(frozen=True, slots=True)
class ClaimedCertificate:
    """What a certificate says. `not_before`, `not_after`: Unix s. `digest`: hex SHA-256 of its DER bytes."""

    subject: str
    issuer: str
    identities: tuple[str, ...]
    not_before: float
    not_after: float
    digest: str


@dataclass(frozen=True, slots=True)
class ClaimedSigner:
    """Who a signature says made it. `kind`: `key`, `certificate` or `keyless`."""

    kind: str
    key: str
    """Hex SHA-256 of the public key (PEM)."""
    certificates: tuple[ClaimedCertificate, ...] = ()
    """The signer's own first."""


def claimed_statement(signature: bytes, path: str) -> Statement:
    """The list of files that a signature is said to be over.

    Raises:
        AdmissionError: as `read_envelope` and `parse_statement`.
    """
    return parse_statement(read_envelope(signature, path).payload, path)


def claimed_signer(signature: bytes, path: str) -> ClaimedSigner:
    """The signer that a signature file which `read_envelope` accepts names.

    Raises:
        AdmissionError: `signature-malformed`, `certificate-malformed` or `certificate-unfit`.
    """
    try:
        document = strictjson.parse(signature)
    except strictjson.NotStrictError as error:
        raise refusal("signature-malformed", path, f"{error}: {_RESIGN}") from None
    material = Fields(document, "", "signature-malformed", path, _RESIGN).child("verificationMaterial")
    if "x509CertificateChain" in material:
        return _certified(
            "certificate", material.child("x509CertificateChain").children("certificates"), path
        )
    if "certificate" in material:
        return _certified("keyless", [material.child("certificate")], path)
    return ClaimedSigner("key", shown(material.child("publicKey").text("hint")))


def _certified(kind: str, entries: Sequence[Fields], path: str) -> ClaimedSigner:
    certificates = [_certificate(entry, path) for entry in entries]
    if not certificates:
        raise refusal("signature-malformed", path, f"it holds no certificate: {_RESIGN}")
    return ClaimedSigner(kind, certificates[0].key.hint, tuple(map(_claims, certificates)))


def _certificate(entry: Fields, path: str) -> Certificate:
    try:
        return read_certificate(base64.b64decode(entry.text("rawBytes"), validate=True), path)
    except (binascii.Error, ValueError):
        raise refusal("signature-malformed", path, f"`rawBytes` is not base64: {_RESIGN}") from None


def _claims(certificate: Certificate) -> ClaimedCertificate:
    return ClaimedCertificate(
        certificate.name,
        certificate.issuer_name,
        tuple(shown(identity) for identity in certificate.identities()),
        certificate.not_before,
        certificate.not_after,
        certificate.digest,
    )
