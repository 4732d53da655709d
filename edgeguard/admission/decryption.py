"""Encrypted models: the bytes of a signed file in, the plain model out, in memory only. No I/O.

What is encrypted is signed as it is. The plain model is held against the digest that the signed manifest states.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgeguard.admission.memory import blank_bytes
from edgeguard.admission.reasons import refusal, shown

if TYPE_CHECKING:
    from edgeguard.admission.bundle import Secrets
    from edgeguard.admission.manifest import Manifest

_RESTORE = "copy the bundle again from where it was made, or ask who encrypted it"


def key_id(key: bytes) -> str:
    """What a manifest calls a content key: 16 hex digits that do not tell the key."""
    return hashlib.sha256(key).hexdigest()[:16]


def associated_data(manifest: Manifest) -> bytes:
    """What an encrypted model is bound to: it opens as no other model and as no other version of it."""
    return f"{manifest.name}@{manifest.version}".encode()


def decrypted(manifest: Manifest, data: bytes, secrets: Secrets, path: str) -> bytes:
    """The plain bytes of a bundle's model; `data` itself where it is not encrypted.

    Raises:
        AdmissionError: `key-missing` or `decryption-failed`.
    """
    claim = manifest.encryption
    if claim is None:
        return data
    from edgeguard.admission.streaming import FORMAT, KEY_BYTES, StreamError  # noqa: PLC0415 - most need no cipher

    if claim.format != FORMAT:
        raise refusal(
            "decryption-failed", path, f"`{shown(claim.format)}` is not known: encrypt it as {FORMAT}"
        )
    key = secrets(claim.key)
    if key is None or len(key) != KEY_BYTES or key_id(key) != claim.key:
        raise refusal(
            "key-missing",
            path,
            f"it is encrypted with the content key `{shown(claim.key)}`, which is not here: "
            "add that key to `decrypt` in the policy, or give it with `--decrypt`",
        )
    try:
        plain, digest = _plain(key, data, associated_data(manifest))
    except StreamError as error:
        raise refusal("decryption-failed", path, f"{error}: {_RESTORE}") from None
    except MemoryError:
        raise refusal(
            "too-large", path, "there is no room to decrypt it: make the model smaller or add memory"
        ) from None
    if digest != claim.plaintext:
        raise refusal("decryption-failed", path, f"it holds another model than its manifest says: {_RESTORE}")
    return plain


def _plain(key: bytes, data: bytes, associated: bytes) -> tuple[bytes, str]:
    from edgeguard.admission.streaming import StreamError, decrypt, plain_size  # noqa: PLC0415 - as above

    size = plain_size(len(data))
    if size == 0:
        raise StreamError("it holds nothing")
    plain, memory = blank_bytes(size)  # handed on only when every segment was opened
    digest = hashlib.sha256()
    for piece in decrypt(key, data, associated, memory):
        digest.update(piece)
    return plain, digest.hexdigest()


def secrets_from(places: Sequence[str], open_secret: Callable[[str], bytes]) -> Secrets:
    """Find content keys by their id in places such as a file, a TPM or a token, each opened once, when it is needed.

    What `open_secret` raises comes out where a key is asked for that was not found before.
    """
    known: dict[str, bytes] = {}
    left = list(places)

    def secret(identity: str) -> bytes | None:
        while identity not in known and left:
            key = open_secret(left[0])
            known[key_id(key)] = key
            del left[0]
        return known.get(identity)

    return secret
