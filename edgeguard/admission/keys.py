"""Signing keys: EC P-256, P-384 and P-521 in PEM files.

A private key is read only from a file that nobody else can read, and is never overwritten or printed.
No certificate is read here, and no signature format is known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from edgeguard.admission.keyfiles import check_free, check_one_pem, create, read_private, read_public
from edgeguard.admission.reasons import refusal, shown
from edgeguard.errors import UsageError

CURVES: Mapping[str, ec.EllipticCurve] = MappingProxyType(
    {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
)
_HASHES: Mapping[str, hashes.HashAlgorithm] = MappingProxyType(
    {"secp256r1": hashes.SHA256(), "secp384r1": hashes.SHA384(), "secp521r1": hashes.SHA512()}
)
"""Each curve signs with its own hash and no other: a signature over another hash does not verify."""

_CURVE_HINT = "use an EC key on P-256, P-384 or P-521, as `edgeguard keys new` makes"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A trusted signer. `hint` is the hex SHA-256 of the key's PEM text, which signatures carry to name it."""

    key: ec.EllipticCurvePublicKey
    hint: str

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> PublicKey:
        """Wrap a key of one of the three supported curves."""
        return cls(key, hashlib.sha256(public_pem(key)).hexdigest())

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` (DER) over `message` was made with this key and its curve's own hash."""
        try:
            self.key.verify(signature, message, ec.ECDSA(_HASHES[self.key.curve.name]))
        except InvalidSignature:
            return False
        return True


class SigningKey(Protocol):
    """Something that signs with a private key it need not show: a file, a security token, a TPM."""

    def public(self) -> PublicKey:
        """Return the public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the DER-coded ECDSA signature over `message` with the curve's own hash."""


@dataclass(frozen=True, slots=True, repr=False)
class PrivateKey:
    """A signing key. Its representation is left out on purpose: keys do not belong in logs."""

    key: ec.EllipticCurvePrivateKey

    def public(self) -> PublicKey:
        """Return the public half."""
        return PublicKey.of(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Return the DER-coded ECDSA signature over `message` with the curve's own hash."""
        return self.key.sign(message, ec.ECDSA(_HASHES[self.key.curve.name]))


def digest_of(key: PublicKey, message: bytes) -> bytes:
    """Hash what a key is to sign, for a token that only signs digests."""
    digest = hashes.Hash(_HASHES[key.key.curve.name])
    digest.update(message)
    return digest.finalize()


def load_public_keys(paths: Sequence[str | Path]) -> tuple[PublicKey, ...]:
    """Read trusted public keys from PEM files, in the order given.

    Raises:
        UsageError: a file is missing or does not hold one EC public key on a supported curve.
    """
    return tuple(public_key(read_public(path, "public key"), str(path)) for path in paths)


def load_pinned_keys(pins: Sequence[tuple[str | Path, str]]) -> tuple[PublicKey, ...]:
    """Read the public keys that a signed policy pins, as pairs of (file, hex SHA-256 of the key's PEM text).

    A key file is not signed itself: whoever can write to the disk could put their own in its place.

    Raises:
        AdmissionError: `unknown-signer`, a file holds another key than the one pinned.
        UsageError: as `load_public_keys`.
    """
    keys = load_public_keys([path for path, _ in pins])
    for key, (path, pinned) in zip(keys, pins):
        check_pin(key.hint, pinned, str(path))
    return keys


def check_pin(hint: str, pinned: str, path: str) -> None:
    """Refuse a key file that holds another key than the one that the policy pins.

    Raises:
        AdmissionError: `unknown-signer`.
    """
    if hint != pinned:
        raise refusal(
            "unknown-signer",
            path,
            f"this is not the key that the policy pins (`{pinned[:16]}…`) but `{hint[:16]}…`: put the right "
            "key back; if the change is yours, write what `edgeguard keys show` prints into the policy",
        )


def public_key(data: bytes, where: str) -> PublicKey:
    """Make a public key of PEM text; `where` is for messages.

    Raises:
        UsageError: it does not hold one EC public key on a supported curve.
    """
    return supported(any_public_pem(data, where, _CURVE_HINT), where)


def any_public_pem(data: bytes, where: str, hint: str) -> object:
    """Read PEM text that holds one public key of any kind; `hint` says what kind to use.

    Raises:
        UsageError: it holds none or several, or a private one.
    """
    if b"PRIVATE KEY" in data:
        raise UsageError(
            f"`{where}` holds a private key: give the public key, and keep this file off the device"
        )
    check_one_pem(data, where, "public key")
    try:
        return serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"`{where}` is not a public key in PEM format: {hint}") from None


def supported(key: object, where: str) -> PublicKey:
    """Take a public key of some library's kind, when it is EC on a supported curve.

    Raises:
        UsageError: it is another kind of key.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise UsageError(f"`{where}` holds a kind of key that edgeguard does not accept: {_CURVE_HINT}")
    return PublicKey.of(key)


def load_private_key(path: str | Path) -> PrivateKey:
    """Read a signing key from an unencrypted PEM file that only its owner can read.

    Raises:
        UsageError: the file is missing, readable by others, encrypted, or holds another kind of key.
    """
    return private_key(read_private(path, "private key"), str(path))


def private_key(data: bytes, where: str) -> PrivateKey:
    """Make a signing key of PEM text; `where` is for messages.

    Raises:
        UsageError: it is encrypted, does not hold one EC key on a supported curve, or its halves differ.
    """
    key = any_private_pem(data, where, _CURVE_HINT)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise UsageError(f"`{where}` holds a kind of key that edgeguard does not accept: {_CURVE_HINT}")
    return PrivateKey(key)


def any_private_pem(data: bytes, where: str, hint: str) -> object:
    """Read PEM text that holds one private key of any kind; `hint` says what kind to use.

    Raises:
        UsageError: it is encrypted, or holds none or several.
    """
    check_one_pem(data, where, "private key")
    try:
        return serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise UsageError(
            f"`{where}` is encrypted: decrypt it first with `openssl pkey -in {where} -out PLAIN.key`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"`{where}` is not a private key in PEM format: {hint}") from None


def generate(curve: str = "P-256") -> tuple[bytes, bytes]:
    """Make a key pair; return the PEM text of its private and its public half.

    Raises:
        UsageError: the curve is unknown.
    """
    if curve not in CURVES:
        raise UsageError(f"unknown curve `{shown(curve)}`: choose one of {', '.join(CURVES)}")
    key = ec.generate_private_key(CURVES[curve])
    return secret_pem(key), public_pem(key.public_key())


def new_key(private_path: str | Path, public_path: str | Path, *, curve: str = "P-256") -> None:
    """Make a key pair: the private half with mode 0600, the public half with mode 0644.

    Raises:
        UsageError: a file of that name exists already, a folder is missing, or the curve is unknown.
    """
    create_pair(private_path, public_path, *generate(curve))


def create_pair(private_path: str | Path, public_path: str | Path, secret: bytes, public: bytes) -> None:
    """Write both halves of a key, or none.

    Raises:
        UsageError: a file of that name exists already, or a folder is missing.
    """
    check_free(public_path)
    create(private_path, secret, private=True)
    try:
        create(public_path, public, private=False)
    except UsageError:
        Path(private_path).unlink()  # half a pair is of no use, and would stand in the way of the next try
        raise


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the PEM text of a public key, as it is pinned: by its SHA-256."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def secret_pem(key: ec.EllipticCurvePrivateKey | mldsa.MLDSA65PrivateKey) -> bytes:
    """Return the PEM text of a private key, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
