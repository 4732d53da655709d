"""The trust core: the bytes of one certificate, read whole, and what it must be to sign or to issue. No I/O, no clock.

A strict profile of RFC 5280: EC keys on three curves, each signing with its own hash; one accepted spelling.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgeguard.admission.keys import PublicKey
from edgeguard.admission.reasons import refusal, shown

MAX_CERTIFICATE_BYTES = 16 * 1024

_ALGORITHMS: Mapping[str, bytes] = MappingProxyType(
    {
        "secp256r1": bytes.fromhex("300a06082a8648ce3d040302"),  # ecdsa-with-SHA256
        "secp384r1": bytes.fromhex("300a06082a8648ce3d040303"),  # ecdsa-with-SHA384
        "secp521r1": bytes.fromhex("300a06082a8648ce3d040304"),  # ecdsa-with-SHA512
    }
)
"""How a key on each curve signs certificates, as DER. RSA is left out: this project's own tools cannot make such keys,
and its many paddings and sizes would double what has to be got right."""
_UNDERSTOOD = (
    x509.AuthorityKeyIdentifier,
    x509.BasicConstraints,
    x509.ExtendedKeyUsage,
    x509.KeyUsage,
    x509.SubjectAlternativeName,
    x509.SubjectKeyIdentifier,
)
"""Extensions that are held to what they say, so that they may be critical. Name constraints are none of them."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate, read whole: what could not be read was refused before anything was decided."""

    der: bytes
    loaded: x509.Certificate
    key: PublicKey
    extensions: x509.Extensions
    curve_of_signature: str
    """The curve to which the hash of its signature belongs."""
    not_before: float
    """Unix s; the first at which it is valid."""
    not_after: float
    """Unix s; the last at which it is valid."""
    name: str
    """For whom it is, for messages."""
    issuer_name: str

    @property
    def curve(self) -> str:
        """The curve of its key."""
        return self.key.key.curve.name

    @property
    def digest(self) -> str:
        """Hex SHA-256 of its bytes."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def first_day(self) -> str:
        """From when it is valid, for messages."""
        return str(self.loaded.not_valid_before_utc.date())

    @property
    def last_day(self) -> str:
        """Until when it is valid, for messages."""
        return str(self.loaded.not_valid_after_utc.date())

    def twin_digest(self, issuer: Certificate) -> str:
        """Hex SHA-256 of the same certificate with its signature's other form.

        With every ECDSA signature (r, s), (r, n - s) verifies too: without this, anybody could change the digest of a
        revoked certificate.
        """
        r, s = utils.decode_dss_signature(self.loaded.signature)
        other = utils.encode_dss_signature(r, issuer.key.key.curve.group_order - s)
        tbs = self.loaded.tbs_certificate_bytes
        return hashlib.sha256(_certificate(tbs, _ALGORITHMS[self.curve_of_signature], other)).hexdigest()

    def identities(self) -> list[str]:
        """For whom it is: its e-mail addresses, URIs and DNS names; without alternative names, its common name."""
        try:
            names = self.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            common = [
                str(name.value) for name in self.loaded.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            ]
            return common if len(common) == 1 else []
        return [
            *names.get_values_for_type(x509.RFC822Name),
            *names.get_values_for_type(x509.UniformResourceIdentifier),
            *names.get_values_for_type(x509.DNSName),
        ]


def read_certificate(der: bytes, path: str) -> Certificate:
    """Read a certificate's bytes. `path` (of the signature) is only for messages.

    Raises:
        AdmissionError: `certificate-malformed`; `certificate-unfit`, it is not made of supported keys and signatures.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        _malformed(path, f"is larger than {MAX_CERTIFICATE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a serial number, which is refused below
            loaded = x509.load_der_x509_certificate(der)
            positive = loaded.serial_number > 0
        extensions = loaded.extensions
        key = loaded.public_key()
        name = shown(loaded.subject.rfc4514_string(), longest=60) or "no name"
        issuer_name = shown(loaded.issuer.rfc4514_string(), longest=60) or "no name"
        not_before = loaded.not_valid_before_utc.timestamp()
        not_after = loaded.not_valid_after_utc.timestamp()
        curve = _curve_of_signature(loaded, der)
    except Exception:  # noqa: BLE001 - the parser reads late and raises many things, none of them at a good certificate
        _malformed(path, "cannot be read")
    if not positive:
        _malformed(path, "has no positive serial number")
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _ALGORITHMS:
        _unfit(name, path, "has another kind of key than EC P-256, P-384 or P-521")
    if not curve:
        _unfit(name, path, "is not signed with ECDSA and SHA-256, SHA-384 or SHA-512 in the usual form")
    return Certificate(
        der, loaded, PublicKey.of(key), extensions, curve, not_before, not_after, name, issuer_name
    )


def check_leaf(certificate: Certificate, path: str) -> None:
    """Refuse a certificate that is not for signing.

    Raises:
        AdmissionError: `certificate-unfit`.
    """
    _check_extensions(certificate, path)
    usage = _usage(certificate, path)
    if not usage.digital_signature:
        _unfit(certificate.name, path, "is not for signing (its key usage lacks `digitalSignature`)")
    constraints = _constraints(certificate)
    if usage.key_cert_sign or (constraints is not None and constraints.value.ca):
        _unfit(certificate.name, path, "is an authority's, not a signer's")


def check_authority(certificate: Certificate, below: int, path: str) -> None:
    """Refuse a certificate that may not issue, with `below` further authorities between it and the signer.

    Raises:
        AdmissionError: `certificate-unfit`.
    """
    _check_extensions(certificate, path)
    constraints = _constraints(certificate)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        _unfit(certificate.name, path, "is no authority's (critical `basicConstraints` with `CA:TRUE`)")
    if not _usage(certificate, path).key_cert_sign:
        _unfit(certificate.name, path, "may not issue certificates (its key usage lacks `keyCertSign`)")
    if constraints.value.path_length is not None and below > constraints.value.path_length:
        _unfit(
            certificate.name,
            path,
            f"allows {constraints.value.path_length} authorities below it, there are {below}",
        )


def _check_extensions(certificate: Certificate, path: str) -> None:
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.NameConstraints):
            _unfit(certificate.name, path, "has name constraints, which are not evaluated")
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            _unfit(certificate.name, path, f"has the critical extension {extension.oid.dotted_string}")
        if (
            isinstance(extension.value, x509.ExtendedKeyUsage)
            and ExtendedKeyUsageOID.CODE_SIGNING not in extension.value
        ):
            _unfit(
                certificate.name, path, "is for another purpose (its extended key usage lacks `codeSigning`)"
            )


def _usage(certificate: Certificate, path: str) -> x509.KeyUsage:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        _unfit(certificate.name, path, "does not say what its key is for (`keyUsage`)")


def _constraints(certificate: Certificate) -> x509.Extension[x509.BasicConstraints] | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return None


def _curve_of_signature(loaded: x509.Certificate, der: bytes) -> str:
    """The curve whose algorithm these very bytes are signed with; empty: none, or they could be written otherwise."""
    for curve, algorithm in _ALGORITHMS.items():
        if der == _certificate(loaded.tbs_certificate_bytes, algorithm, loaded.signature):
            return curve
    return ""


def _certificate(tbs: bytes, algorithm: bytes, signature: bytes) -> bytes:
    return _der(0x30, tbs + algorithm + _der(0x03, b"\0" + signature))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _malformed(path: str, what: str) -> NoReturn:
    raise refusal(
        "certificate-malformed",
        path,
        f"a certificate {what}: sign it again with the certificates as they were issued",
    )


def _unfit(name: str, path: str, what: str) -> NoReturn:
    raise refusal(
        "certificate-unfit",
        path,
        f"certificate `{name}` {what}: have one issued that fits, and sign again",
    )
