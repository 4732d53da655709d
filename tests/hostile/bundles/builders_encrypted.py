"""Builders of encrypted bundles, good and forged: their signer may be trusted and their ciphertext still wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgeguard.admission.bundle import Secrets
from edgeguard.admission.decryption import key_id
from edgeguard.admission.streaming import FORMAT, encrypt
from tests.hostile.bundles.builders import MANIFEST, Json, good_files, good_model, manifest, sha256

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NAME = f"{MANIFEST['name']}@{MANIFEST['version']}".encode()


def secrets_of(*keys: bytes) -> Secrets:
    """Return the content keys of a device."""
    return {key_id(key): key for key in keys}.get


def sealed(plain: bytes, key: bytes = KEY, associated: bytes = NAME) -> bytes:
    """Return an encrypted stream."""
    return b"".join(encrypt(key, plain, associated))


def claim(plain: bytes, key: bytes = KEY) -> Json:
    """Return what a manifest says of an encrypted model."""
    return {"format": FORMAT, "key": key_id(key), "plaintext": sha256(plain)}


def encrypted_files(
    data: bytes | None = None, plain: bytes | None = None, change: Callable[[Json], Any] = lambda _: None
) -> dict[str, bytes]:
    """Return the files of an encrypted bundle, without the signature.

    `data`: what lies there as the model; None: a good stream of `plain`, which is the good model when None.
    """
    plain = good_model() if plain is None else plain
    encryption = claim(plain)
    change(encryption)
    return {
        **good_files(),
        "edgeguard.json": manifest(lambda values: values.update(encryption=encryption)),
        "model.onnx": sealed(plain) if data is None else data,
    }
