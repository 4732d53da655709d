"""Certificates and trusted roots in files: read, held against their pins, and handed to the trust core.

Nothing is decided here on what a certificate may do; no private key is read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from edgeguard.admission.keyfiles import read_public
from edgeguard.admission.reasons import refusal
from edgeguard.errors import UsageError
from edgeguard.terms import Pin

if TYPE_CHECKING:
    from cryptography import x509


def load_authority(path: str | Path) -> x509.Certificate:
    """Read one root certificate from a PEM file.

    Raises:
        UsageError: the file is missing or does not hold exactly one certificate.
        AdmissionError: `certificate-malformed` or `certificate-unfit`, such as an RSA certificate.
    """
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - heavy, and most trust keys only

    from edgeguard.admission.x509 import read_certificate  # noqa: PLC0415 - as above

    data = read_public(path, "certificate")
    if b"PRIVATE KEY" in data:
        raise UsageError(f"`{path}` holds a private key: give the certificate alone, and keep the key apart")
    try:
        certificate, *others = load_pem_x509_certificates(data)
    except Exception:  # noqa: BLE001 - the parser raises many things, none of them at a good file
        raise UsageError(
            f"`{path}` is not a certificate in PEM format: convert it with `openssl x509 -in {path} -outform PEM`"
        ) from None
    if others:
        raise UsageError(f"`{path}` holds {len(others) + 1} certificates: give the root certificate alone")
    read_certificate(certificate.public_bytes(Encoding.DER), str(path))
    return certificate


def load_pinned_authority(pin: Pin) -> x509.Certificate:
    """Read the root certificate that a signed policy pins by the SHA-256 of its DER bytes.

    Raises:
        AdmissionError: `unknown-signer`, the file holds another certificate than the one pinned.
        UsageError: as `load_authority`.
    """
    certificate = load_authority(pin.path)
    _check_pin(certificate.public_bytes(Encoding.DER), pin, "certificate")
    return certificate


def load_trusted_root(path: str | Path) -> bytes:
    """Read a trusted root of Sigstore (JSON). What is in it is checked when a signature needs it.

    Raises:
        UsageError: the file is missing or too large.
    """
    return read_public(path, "trusted root")


def load_pinned_root(pin: Pin) -> bytes:
    """Read the trusted root of Sigstore that a signed policy pins by the SHA-256 of the file.

    Raises:
        AdmissionError: `unknown-signer`, the file is another than the one pinned.
        UsageError: as `load_trusted_root`.
    """
    data = load_trusted_root(pin.path)
    _check_pin(data, pin, "trusted root")
    return data


def _check_pin(data: bytes, pin: Pin, kind: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != pin.sha256:
        raise refusal(
            "unknown-signer",
            pin.path,
            f"this is not the {kind} that the policy pins (`{pin.sha256[:16]}…`) but `{found[:16]}…`: put the right "
            "one back; if the change is yours, write its digest into the policy",
        )
