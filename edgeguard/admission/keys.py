"""Signing keys: EC P-256, P-384 and P-521 in PEM files.

A private key is read only from a file that nobody else can read, and is never overwritten or printed.
No certificate is read here, and no signature format is known here.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edgeguard.admission.reasons import refusal
from edgeguard.errors import UsageError

MAX_KEY_BYTES = 64 * 1024

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
        return cls(key, hashlib.sha256(_public_pem(key)).hexdigest())

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


def load_public_keys(paths: Sequence[str | Path]) -> tuple[PublicKey, ...]:
    """Read trusted public keys from PEM files, in the order given.

    Raises:
        UsageError: a file is missing or does not hold one EC public key on a supported curve.
    """
    return tuple(_load_public_key(Path(path)) for path in paths)


def load_pinned_keys(pins: Sequence[tuple[str | Path, str]]) -> tuple[PublicKey, ...]:
    """Read the public keys that a signed policy pins, as pairs of (file, hex SHA-256 of the key's PEM text).

    A key file is not signed itself: whoever can write to the disk could put their own in its place.

    Raises:
        AdmissionError: `unknown-signer`, a file holds another key than the one pinned.
        UsageError: as `load_public_keys`.
    """
    keys = load_public_keys([path for path, _ in pins])
    for key, (path, pinned) in zip(keys, pins):
        if key.hint != pinned:
            raise refusal(
                "unknown-signer",
                str(path),
                f"this is not the key that the policy pins (`{pinned[:16]}…`) but `{key.hint[:16]}…`: put the right "
                "key back; if the change is yours, write what `edgeguard keys show` prints into the policy",
            )
    return keys


def _load_public_key(path: Path) -> PublicKey:
    data = _read(path, "public key")
    if b"PRIVATE KEY" in data:
        raise UsageError(
            f"`{path}` holds a private key: give the public key, and keep this file off the device"
        )
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"`{path}` is not a public key in PEM format: {_CURVE_HINT}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise UsageError(f"`{path}` holds a kind of key that edgeguard does not accept: {_CURVE_HINT}")
    return PublicKey.of(key)


def load_private_key(path: str | Path) -> PrivateKey:
    """Read a signing key from an unencrypted PEM file that only its owner can read.

    Raises:
        UsageError: the file is missing, readable by others, encrypted, or holds another kind of key.
    """
    data = _read(Path(path), "private key", private=True)
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except TypeError:
        raise UsageError(
            f"`{path}` is encrypted: decrypt it first with `openssl pkey -in {path} -out PLAIN.key`"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"`{path}` is not a private key in PEM format: {_CURVE_HINT}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
        raise UsageError(f"`{path}` holds a kind of key that edgeguard does not accept: {_CURVE_HINT}")
    return PrivateKey(key)


def new_key(private_path: str | Path, public_path: str | Path, *, curve: str = "P-256") -> None:
    """Make a key pair: the private half with mode 0600, the public half with mode 0644.

    Raises:
        UsageError: a file of that name exists already, a folder is missing, or the curve is unknown.
    """
    if curve not in CURVES:
        raise UsageError(f"unknown curve `{curve}`: choose one of {', '.join(CURVES)}")
    if os.path.lexists(public_path):
        raise UsageError(f"`{public_path}` exists already and is not overwritten: choose another name")
    key = ec.generate_private_key(CURVES[curve])
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _create(private_path, secret, 0o600)
    try:
        _create(public_path, _public_pem(key.public_key()), 0o644)
    except UsageError:
        Path(private_path).unlink()  # half a pair is of no use, and would stand in the way of the next try
        raise


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _create(path: str | Path, data: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise UsageError(f"`{path}` exists already and is not overwritten: choose another name") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot create `{path}`: {_why(error)}; check the folder") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path, kind: str, *, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if private and stat.S_IMODE(status.st_mode) & 0o077:
                raise UsageError(
                    f"the private key `{path}` can be used by others: run `chmod 600 {path}`, "
                    "and make a new key if it was ever shared"
                )
            data = file.read(MAX_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the {kind} `{path}`: {_why(error)}; check the path") from None
    if len(data) > MAX_KEY_BYTES:
        raise UsageError(f"`{path}` is too large to be a {kind}: check the path")
    return data


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):  # a zero byte, or half a surrogate pair
        return "no file can have this name"
    return (error.strerror or "input/output error").lower()
