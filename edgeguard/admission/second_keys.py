"""Keys for second signatures: ML-DSA-65 in PEM files, under the same rules as signing keys.

No signature is checked here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission.keyfiles import read_private, read_public
from edgeguard.admission.keys import any_private_pem, any_public_pem, check_pin, secret_pem
from edgeguard.admission.post_quantum import PostQuantumKey, SecondKey, second_pem
from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from edgeguard.terms import Pin

_KIND_HINT = "use an ML-DSA-65 key, as `edgeguard keys new NAME --post-quantum` makes"


def load_post_quantum(path: str | Path) -> PostQuantumKey:
    """Read an ML-DSA-65 public key from a PEM file.

    Raises:
        UsageError: the file is missing or does not hold one such key.
    """
    key = any_public_pem(read_public(path, "public key"), str(path), _KIND_HINT)
    if not isinstance(key, mldsa.MLDSA65PublicKey):
        raise UsageError(f"`{path}` is not an ML-DSA-65 key: {_KIND_HINT}")
    return PostQuantumKey.of(key)


def load_pinned_post_quantum(pin: Pin) -> PostQuantumKey:
    """Read the ML-DSA-65 public key that a signed policy pins.

    Raises:
        AdmissionError: `unknown-signer`, the file holds another key than the one pinned.
        UsageError: as `load_post_quantum`.
    """
    key = load_post_quantum(pin.path)
    check_pin(key.hint, pin.sha256, pin.path)
    return key


def load_second_key(path: str | Path) -> SecondKey:
    """Read a key for second signatures from an unencrypted PEM file that only its owner can read.

    Raises:
        UsageError: the file is missing, readable by others, encrypted, or holds another kind of key.
    """
    return second_key(read_private(path, "private key"), str(path))


def second_key(data: bytes, where: str) -> SecondKey:
    """Make a key for second signatures of PEM text; `where` is for messages.

    Raises:
        UsageError: it does not hold one ML-DSA-65 private key.
    """
    key = any_private_pem(data, where, _KIND_HINT)
    if not isinstance(key, mldsa.MLDSA65PrivateKey):
        raise UsageError(f"`{where}` is not an ML-DSA-65 key: {_KIND_HINT}")
    return SecondKey(key)


def generate_second() -> tuple[bytes, bytes]:
    """Make an ML-DSA-65 pair; return the PEM text of its private half (the seed) and its public half.

    Raises:
        UsageError: this machine's cryptography library cannot.
    """
    try:
        key = mldsa.MLDSA65PrivateKey.generate()
    except UnsupportedAlgorithm:
        raise UsageError(
            "this build of `cryptography` has no ML-DSA: install the one of the lock file"
        ) from None
    return secret_pem(key), second_pem(key.public_key())
