"""The key of encrypted bundles: 32 bytes. What a manifest calls it says `admission.decryption`. No file here."""

from __future__ import annotations

import secrets

from edgeguard.errors import UsageError

SECRET_BYTES = 32


def new_secret() -> bytes:
    """Make one, from the operating system's source of randomness."""
    return secrets.token_bytes(SECRET_BYTES)


def check_secret(data: bytes, where: str) -> bytes:
    """Return `data`, when it can be a content key.

    Raises:
        UsageError: it does not have 32 bytes.
    """
    if len(data) != SECRET_BYTES:
        raise UsageError(
            f"`{where}` holds {len(data)} bytes, and a content key has {SECRET_BYTES}: make one with "
            "`edgeguard keys new NAME --content`"
        )
    return data
