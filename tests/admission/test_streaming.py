"""Tink's streaming AEAD: what is opened is exactly what was encrypted, whole, in order, for the same name."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.admission.streaming import (
    HEADER_BYTES,
    KEY_BYTES,
    SEGMENT,
    TAG_BYTES,
    StreamError,
    decrypt,
    encrypt,
    plain_size,
)

KEY = bytes(range(KEY_BYTES))
NAME = b"signs-primary@1.0.0"
FIRST = SEGMENT - HEADER_BYTES - TAG_BYTES
"""Bytes of the plain text in the first segment."""
NEXT = SEGMENT - TAG_BYTES
SIZES = (
    0,
    1,
    100,
    FIRST - 1,
    FIRST,
    FIRST + 1,
    FIRST + NEXT - 1,
    FIRST + NEXT,
    FIRST + NEXT + 1,
    FIRST + 3 * NEXT,
)


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _seal(plain: bytes, key: bytes = KEY, associated: bytes = NAME) -> bytes:
    return b"".join(encrypt(key, plain, associated))


def _open(data: bytes, key: bytes = KEY, associated: bytes = NAME) -> bytes:
    plain = bytearray(plain_size(len(data)))
    assert sum(map(len, decrypt(key, data, associated, memoryview(plain)))) == len(plain)
    return bytes(plain)


def _segments(data: bytes) -> list[bytes]:
    return [data[i : i + SEGMENT] for i in range(0, len(data), SEGMENT)]


@pytest.mark.parametrize("size", SIZES)
def test_what_was_encrypted_is_opened(size: int) -> None:
    plain = _noise(size)
    data = _seal(plain)
    assert plain_size(len(data)) == size
    assert _open(data) == plain


def test_the_format_is_what_the_page_says() -> None:
    """The whole of the format once more, from the page alone, with the library's own primitives."""
    plain = _noise(FIRST + NEXT + 7)
    data = _seal(plain)
    assert data[0] == 40
    salt, prefix = data[1:33], data[33:40]
    cipher = AESGCM(HKDF(SHA256(), 32, salt, NAME).derive(KEY))
    first = cipher.decrypt(prefix + b"\0\0\0\0" + b"\0", data[40 : 2**20], None)
    second = cipher.decrypt(prefix + b"\0\0\0\1" + b"\0", data[2**20 : 2**21], None)
    last = cipher.decrypt(prefix + b"\0\0\0\2" + b"\1", data[2**21 :], None)
    assert first + second + last == plain


def test_nothing_is_encrypted_twice_alike() -> None:
    headers = {_seal(b"model")[:HEADER_BYTES] for _ in range(64)}
    assert len({header[1:33] for header in headers}) == 64
    assert len({header[33:] for header in headers}) == 64


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_changed_bit_is_opened(plain: bytes, data: st.DataObject) -> None:
    good = bytearray(_seal(plain))
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    good[bit // 8] ^= 1 << bit % 8
    with pytest.raises(StreamError):
        _open(bytes(good))


def test_no_stream_that_was_cut_off_is_opened() -> None:
    data = _seal(_noise(100))
    for size in range(len(data)):
        with pytest.raises(StreamError):
            _open(data[:size])


LONG = _noise(FIRST + 2 * NEXT + 1000)


def _swapped(parts: list[bytes]) -> list[bytes]:
    return [parts[0], parts[2], parts[1], parts[3]]


CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "last segment missing": lambda p: p[:-1],
    "two segments missing": lambda p: p[:-2],
    "only the first": lambda p: p[:1],
    "segment missing in the middle": lambda p: [p[0], *p[2:]],
    "first missing": lambda p: p[1:],
    "reordered": _swapped,
    "segment doubled": lambda p: [*p[:2], p[1], *p[2:]],
    "last doubled": lambda p: [*p, p[-1]],
    "a byte more": lambda p: [*p, b"\0"],
    "a tag more": lambda p: [*p, bytes(TAG_BYTES)],
    "a segment more": lambda p: [*p[:-1], p[-1] + bytes(SEGMENT - len(p[-1])), bytes(SEGMENT)],
    "cut within the last": lambda p: [*p[:-1], p[-1][:-1]],
    "cut to the last's tag": lambda p: [*p[:-1], p[-1][:TAG_BYTES]],
    "cut within the last's tag": lambda p: [*p[:-1], p[-1][: TAG_BYTES - 1]],
    "another header": lambda p: [_seal(LONG)[:HEADER_BYTES] + p[0][HEADER_BYTES:], *p[1:]],
    "last of another stream": lambda p: [*p[:-1], _segments(_seal(LONG))[-1]],
}


@pytest.mark.parametrize("case", CHANGES)
def test_segments_that_are_not_the_stream_are_not_opened(case: str) -> None:
    data = _seal(LONG)
    changed = b"".join(CHANGES[case](_segments(data)))
    assert changed != data
    with pytest.raises(StreamError):
        _open(changed)


def test_an_empty_segment_at_the_end_is_not_opened_even_from_who_has_the_key() -> None:
    """There is one stream for a model, not two: the last segment may be empty only where the model is."""
    prefix, salt = bytes(7), bytes(32)
    cipher = AESGCM(HKDF(SHA256(), 32, salt, NAME).derive(KEY))
    full = cipher.encrypt(prefix + bytes(5), _noise(FIRST), None)
    empty = cipher.encrypt(prefix + b"\0\0\0\1\1", b"", None)
    with pytest.raises(StreamError, match="cut off"):
        _open(bytes([HEADER_BYTES]) + salt + prefix + full + empty)


@pytest.mark.parametrize(
    "associated", [b"", b"signs-primary@1.0.1", b"signs-primary@1.0.0\0", b"signs-redundant@1.0.0"]
)
def test_other_associated_data_opens_nothing(associated: bytes) -> None:
    with pytest.raises(StreamError):
        _open(_seal(b"model"), associated=associated)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(StreamError):
        _open(_seal(b"model"), key=bytes(KEY_BYTES))


class TestTink:
    """Google's implementation opens ours, and we open Google's."""

    @pytest.fixture
    def primitive(self) -> Any:
        pytest.importorskip("tink", reason="needs `pip install tink`")
        from tink import cleartext_keyset_handle, streaming_aead  # type: ignore[import-untyped]
        from tink.proto import (  # type: ignore[import-untyped]
            aes_gcm_hkdf_streaming_pb2,
            common_pb2,
            tink_pb2,
        )

        streaming_aead.register()
        template = streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB
        form = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKeyFormat.FromString(template.value)
        assert form.params.ciphertext_segment_size == SEGMENT
        assert (form.params.derived_key_size, form.key_size) == (KEY_BYTES, KEY_BYTES)
        assert form.params.hkdf_hash_type == common_pb2.SHA256
        key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(params=form.params, key_value=KEY)
        keyset = tink_pb2.Keyset(primary_key_id=1)
        entry = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
        entry.key_data.type_url = template.type_url
        entry.key_data.value = key.SerializeToString()
        entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
        handle = cleartext_keyset_handle.from_keyset(keyset)
        return handle.primitive(streaming_aead.StreamingAead)

    @pytest.mark.parametrize("size", SIZES)
    def test_tink_opens_ours(self, size: int, primitive: Any) -> None:
        plain = _noise(size)
        source = io.BytesIO(_seal(plain))
        with primitive.new_decrypting_stream(source, NAME) as stream:
            assert stream.read() == plain

    @pytest.mark.parametrize("size", SIZES)
    def test_we_open_tinks(self, size: int, primitive: Any) -> None:
        plain, target = _noise(size), _Kept()
        with primitive.new_encrypting_stream(target, NAME) as stream:
            stream.write(plain)
        assert _open(target.data) == plain

    def test_both_refuse_other_associated_data(self, primitive: Any) -> None:
        import tink

        stream = primitive.new_decrypting_stream(io.BytesIO(_seal(b"model")), b"other@1")
        with pytest.raises(tink.TinkError):
            stream.read()


class _Kept(io.BytesIO):
    """Keeps what was written when it is closed."""

    data = b""

    def close(self) -> None:
        if not self.closed:
            self.data = self.getvalue()
        super().close()
