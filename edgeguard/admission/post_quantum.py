"""The second signature, with ML-DSA-65 (FIPS 204): detached, pure, empty context, over the same bytes as the first.

The file is the signature itself, 3309 bytes and nothing else: there is nothing to parse and no second spelling.
A signer for whom a second key is named signs with both, always: else deleting one file would be a downgrade.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.trust import Grant

SUFFIX = ".ml-dsa-65"
"""Of the file beside the first signature: `model.sig.ml-dsa-65`."""
SIGNATURE_BYTES = 3309

_SIZES = {2420: "ML-DSA-44", 4627: "ML-DSA-87"}
_AGAIN = "have it signed again with `edgeguard sign --second`"


@dataclass(frozen=True, slots=True)
class PostQuantumKey:
    """A trusted ML-DSA-65 key. `hint`: hex SHA-256 of its PEM text."""

    key: mldsa.MLDSA65PublicKey
    hint: str

    @classmethod
    def of(cls, key: mldsa.MLDSA65PublicKey) -> PostQuantumKey:
        """Wrap a key."""
        return cls(key, hashlib.sha256(second_pem(key)).hexdigest())

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Tell whether `signature` (3309 bytes) over `message` was made with this key and no context."""
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, repr=False)
class SecondKey:
    """A signing key for second signatures. Its representation is left out on purpose."""

    key: mldsa.MLDSA65PrivateKey

    def public(self) -> PostQuantumKey:
        """Return the public half."""
        return PostQuantumKey.of(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Return the second signature over `message`: the whole content of its file."""
        return self.key.sign(message)


def check_second(
    data: bytes | None,
    message: bytes,
    grant: Grant,
    path: str,
    *,
    required: bool,
    revoked: frozenset[str] = frozenset(),
) -> None:
    """Hold a second signature (None: there is no file) against the signer's ML-DSA-65 key.

    `message`: the pre-authentication encoding that the first signature is over. `required`: by the policy, of
    everybody. A signer without such a key has no second signature to hold anything against: then a file is not read,
    so that signing with two keys can begin before the first policy names the second one.

    Raises:
        AdmissionError: `post-quantum-missing`, `post-quantum-invalid`, `revoked`.
    """
    key = grant.post_quantum
    if key is None:
        if required:
            raise refusal(
                "post-quantum-missing",
                path,
                "the policy asks for second signatures and names no `post_quantum` key for this signer: add one",
            )
        return
    if key.hint in revoked:
        raise refusal(
            "revoked", path, f"the second key `{key.hint[:16]}…` was revoked: have it signed by another key"
        )
    if data is None:
        raise refusal(
            "post-quantum-missing",
            path,
            f"its signer signs with a second key, and this is not there: {_AGAIN}",
        )
    if len(data) != SIGNATURE_BYTES:
        what = _SIZES.get(len(data), f"{len(data)} bytes")
        raise refusal(
            "post-quantum-invalid", path, f"it is {what}, not an ML-DSA-65 signature of 3309 bytes: {_AGAIN}"
        )
    if not key.verifies(data, message):
        raise refusal(
            "post-quantum-invalid",
            path,
            f"second key `{key.hint[:16]}` did not sign this content: copy it again from its source; if that does "
            "not help, someone changed it",
        )


def second_pem(key: mldsa.MLDSA65PublicKey) -> bytes:
    """Return the PEM text of a public key, as it is pinned: by its SHA-256."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
