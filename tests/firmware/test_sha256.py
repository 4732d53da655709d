from __future__ import annotations

import ctypes
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.program import Program
from hil.mcu import build

VECTORS = {  # FIPS 180-4 examples
    b"": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"abc": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq": (
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    b"a" * 1_000_000: "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
}


@pytest.fixture(scope="module")
def lib(program: Program) -> ctypes.CDLL:
    return ctypes.CDLL(str(build(program, "lib", sanitize=True)))


def digest(lib: ctypes.CDLL, data: bytes) -> bytes:
    out = ctypes.create_string_buffer(32)
    lib.eg_lib_sha256(data, ctypes.c_size_t(len(data)), out)
    return out.raw


@pytest.mark.parametrize("data", VECTORS, ids=lambda d: f"{len(d)} bytes")
def test_sha256_gives_the_standards_vectors(lib: ctypes.CDLL, data: bytes) -> None:
    assert digest(lib, data).hex() == VECTORS[data]


@given(st.binary(max_size=200))
def test_sha256_agrees_with_python(lib: ctypes.CDLL, data: bytes) -> None:
    assert digest(lib, data) == sha256(data).digest()
