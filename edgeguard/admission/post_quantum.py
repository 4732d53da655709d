"""The second signature, with ML-DSA-65 (FIPS 204): detached, over the same bytes as the first. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission.reasons import refusal

if TYPE_CHECKING:
    from edgeguard.admission.trust import Grant

SUFFIX = ".ml-dsa-65"
"""Of the file beside the first signature: `model.sig.ml-dsa-65`."""


@dataclass(frozen=True, slots=True)
class PostQuantumKey:
    """A trusted ML-DSA-65 key. `hint`: hex SHA-256 of its PEM text."""

    key: mldsa.MLDSA65PublicKey
    hint: str


def check_second(data: bytes | None, message: bytes, grant: Grant, path: str, *, required: bool) -> None:
    """Hold a second signature (None: there is no file) against the signer's ML-DSA-65 key.

    `message`: the pre-authentication encoding that the first signature is over.

    Raises:
        AdmissionError: `post-quantum-missing`, `post-quantum-invalid`.
    """
    if required or grant.post_quantum is not None:
        raise refusal("post-quantum-missing", path, "a second signature is asked for")
