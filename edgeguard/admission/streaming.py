"""Tink's streaming encryption `AES256_GCM_HKDF_1MB`, segment by segment, on `cryptography` alone.

Bytes in, bytes out, no I/O. Nothing that was opened may be used before the last segment was: only then is it whole.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = "AES256_GCM_HKDF_1MB"
KEY_BYTES = 32
SEGMENT = 1024**2
"""Bytes of a segment in the encrypted stream. The header counts to the first one; the last one may be shorter."""

_SALT_BYTES = 32
_PREFIX_BYTES = 7
HEADER_BYTES = 1 + _SALT_BYTES + _PREFIX_BYTES
"""Its own length, the salt of the stream's key, and what all nonces of the stream start with."""
TAG_BYTES = 16


class StreamError(Exception):
    """The bytes are not what was encrypted with this key and associated data. The message says what is wrong."""


def encrypt(key: bytes, plain: bytes, associated: bytes) -> Iterator[bytes]:
    """Yield the encrypted stream in pieces of at most `SEGMENT` bytes. `key`: `KEY_BYTES` bytes.

    Never twice the same: the salt and the nonces are random.
    """
    salt, prefix = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_PREFIX_BYTES)
    cipher = _cipher(key, salt, associated)
    yield bytes([HEADER_BYTES]) + salt + prefix
    view, start, index = memoryview(plain), 0, 0
    while start < len(plain) or index == 0:
        end = min(start + SEGMENT - TAG_BYTES - (0 if index else HEADER_BYTES), len(plain))
        yield cipher.encrypt(_nonce(prefix, index, last=end == len(plain)), view[start:end], None)
        start, index = end, index + 1


def plain_size(size: int) -> int:
    """How many bytes an encrypted stream of `size` bytes holds.

    Raises:
        StreamError: no stream has this size.
    """
    segments = max(1, -(-size // SEGMENT))
    tail = size - (segments - 1) * SEGMENT - TAG_BYTES - (HEADER_BYTES if segments == 1 else 0)
    if tail < 0 or (tail == 0 and segments > 1):
        raise StreamError("it is cut off")
    return size - HEADER_BYTES - segments * TAG_BYTES


def decrypt(key: bytes, data: bytes, associated: bytes, into: memoryview) -> Iterator[memoryview]:
    """Open the segments one after the other, in order, writing them to `into`; yield what was written each time.

    `into` must have `plain_size(len(data))` bytes.

    Raises:
        StreamError: another key or other associated data, or a segment that was changed, moved, added or left out.
    """
    if data[0] != HEADER_BYTES:
        raise StreamError("it does not start like an encrypted model")
    salt, prefix = data[1 : 1 + _SALT_BYTES], data[1 + _SALT_BYTES : HEADER_BYTES]
    cipher = _cipher(key, salt, associated)
    view, start, done = memoryview(data), HEADER_BYTES, 0
    for index in range(-(-len(data) // SEGMENT)):
        end = min((index + 1) * SEGMENT, len(data))
        piece = into[done : done + end - start - TAG_BYTES]
        try:
            cipher.decrypt_into(_nonce(prefix, index, last=end == len(data)), view[start:end], None, piece)
        except InvalidTag:
            raise StreamError(f"segment {index} is not what was encrypted") from None
        yield piece
        start, done = end, done + len(piece)


def _cipher(key: bytes, salt: bytes, associated: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, info=associated).derive(key))


def _nonce(prefix: bytes, index: int, *, last: bool) -> bytes:
    """Position and end are part of every segment's nonce: none can be moved, and the last cannot be left out."""
    return prefix + index.to_bytes(4, "big") + bytes([last])
