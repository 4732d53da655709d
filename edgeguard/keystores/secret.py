"""The key of encrypted bundles: 32 bytes. What a manifest calls it says `admission.decryption`. No file here."""

from __future__ import annotations

import secrets

from edgeguard.admission.streaming import KEY_BYTES
from edgeguard.errors import UsageError


def new_secret() -> bytes:
    """Make one, from the operating system's source of randomness."""
    return secrets.token_bytes(KEY_BYTES)


def check_secret(data: bytes, where: str) -> bytes:
    """Return `data`, when it can be a content key.

    Raises:
        UsageError: it does not have 32 bytes.
    """
    if len(data) != KEY_BYTES:
        raise UsageError(
            f"`{where}` holds {len(data)} bytes, and a content key has {KEY_BYTES}: make one with "
            "`edgeguard keys new NAME --content`"
        )
    return data
