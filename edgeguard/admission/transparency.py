"""What Sigstore's own library checks of a signature without a key: certificate, time, log entry, signature. Offline.

The only importer of `sigstore`, and imported only when such a signature is met. Nothing here is trusted for what it
says of a payload or an identity: `keyless.py` compares.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sigstore.errors import CertValidationError, Error
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy
from sigstore_models.trustroot.v1 import TrustedRoot as RootValues

__all__ = [
    "CertValidationError",
    "Error",
    "is_for",
    "issuers",
    "read_bundle",
    "read_root",
    "verified_payload",
]


class _Anybody:
    """Sigstore asks for whom a signature must be while it verifies; here that is asked afterwards."""

    def verify(self, cert: x509.Certificate) -> None:
        """Accept any certificate."""


def read_bundle(data: bytes) -> tuple[Bundle, bytes]:
    """Read a signature. Returns it, and how the library would write what it read.

    Raises:
        Exception: of any kind, at bad input.
    """
    bundle = Bundle.from_json(data)
    return bundle, bundle.to_json().encode()


def read_root(data: bytes) -> TrustedRoot:
    """Read a trusted root.

    Raises:
        Exception: of any kind, at bad input.
    """
    return TrustedRoot(RootValues.from_json(data))


def issuers(root: TrustedRoot) -> list[bytes]:
    """The certificates (DER) of the authorities that a trusted root names."""
    return [certificate.public_bytes(Encoding.DER) for certificate in root.get_fulcio_certs()]


def verified_payload(bundle: Bundle, root: TrustedRoot) -> bytes:
    """Verify everything but for whom the certificate is. Returns the payload.

    Raises:
        Exception: of any kind, when it does not verify.
    """
    return Verifier(trusted_root=root).verify_dsse(bundle, _Anybody())[1]


def is_for(certificate: x509.Certificate, identity: str, issuer: str) -> bool:
    """Whether a verified certificate is for this identity, vouched for by this OpenID issuer. Both must be asked."""
    if not identity or not issuer:
        return False
    named = policy.AnyOf([policy.OIDCIssuer(issuer), policy.OIDCIssuerV2(issuer)])
    try:
        policy.Identity(identity=identity).verify(certificate)
        named.verify(certificate)
    except Exception:  # noqa: BLE001 - whatever cannot be compared is not the same
        return False
    return True
