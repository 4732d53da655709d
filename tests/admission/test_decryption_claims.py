"""What an encrypted model's claim says is held against the key and the bytes, whoever read the manifest before."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

import pytest

from edgeguard.admission.claims import Encryption
from edgeguard.admission.decryption import decrypted, key_id
from edgeguard.admission.manifest import Manifest, parse_manifest
from edgeguard.admission.streaming import FORMAT
from tests.hostile.bundles.builders import manifest
from tests.hostile.bundles.builders_encrypted import KEY, sealed, secrets_of

Refused = Callable[[Callable[[], object], str, str], None]


def _claiming(plain: bytes, key: bytes = KEY, kind: str = FORMAT) -> Manifest:
    claim = Encryption(kind, key_id(key), hashlib.sha256(plain).hexdigest())
    return dataclasses.replace(parse_manifest(manifest(), "edgeguard.json"), encryption=claim)


def test_another_format_is_refused_here_too(refused: Refused) -> None:
    claiming = _claiming(b"model", kind="AES256_GCM_HKDF_4KB")
    refused(
        lambda: decrypted(claiming, sealed(b"model"), secrets_of(KEY), "m.onnx"),
        "decryption-failed",
        "m.onnx",
    )


@pytest.mark.parametrize("key", [b"", KEY[:16], KEY + b"\0"])
def test_a_key_of_another_length_is_none_although_its_id_is_the_one(key: bytes, refused: Refused) -> None:
    claiming = _claiming(b"model", key)
    refused(
        lambda: decrypted(claiming, sealed(b"model", key), secrets_of(key), "m.onnx"), "key-missing", "m.onnx"
    )


def test_nothing_is_no_model_although_its_digest_is_right(refused: Refused) -> None:
    refused(
        lambda: decrypted(_claiming(b""), sealed(b""), secrets_of(KEY), "m.onnx"),
        "decryption-failed",
        "m.onnx",
    )


def test_a_single_byte_is_what_was_encrypted() -> None:
    assert decrypted(_claiming(b"m"), sealed(b"m"), secrets_of(KEY), "m.onnx") == b"m"
