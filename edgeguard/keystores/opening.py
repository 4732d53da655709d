"""From the name of a place to the key that is kept there. A store a kind; nothing else knows the kinds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

from edgeguard.admission.keys import SigningKey
from edgeguard.admission.post_quantum import SecondKey
from edgeguard.keystores.file import FileStore
from edgeguard.keystores.pkcs11 import Pkcs11Store
from edgeguard.keystores.tpm import TpmStore


class KeyStore(Protocol):
    """A kind of place for keys. `where` is the place with its prefix. Every method raises UsageError."""

    def signing_key(self, where: str) -> SigningKey:
        """Open a key that signs. A token's private key stays in the token."""

    def second_key(self, where: str) -> SecondKey:
        """Open a key for second signatures (ML-DSA-65)."""

    def secret(self, where: str) -> bytes:
        """Read the 32 bytes of a content key."""


_STORES: Mapping[str, KeyStore] = MappingProxyType({"pkcs11": Pkcs11Store(), "tpm": TpmStore()})
_FILES = FileStore()


def open_signing_key(where: str) -> SigningKey:
    """Open the EC key at `where`: `PATH` of a PEM file, `pkcs11:...` (RFC 7512) or `tpm:PATH`.

    Raises:
        UsageError: it is not there, others can use it, the PIN is wrong, or it is no such key.
    """
    return _store(where).signing_key(where)


def open_second_key(where: str) -> SecondKey:
    """Open the ML-DSA-65 key at `where`: `PATH` of a PEM file, or `tpm:PATH`.

    Raises:
        UsageError: as `open_signing_key`.
    """
    return _store(where).second_key(where)


def open_secret(where: str) -> bytes:
    """Read the content key at `where`: `PATH` of a file of 32 bytes, `pkcs11:...` or `tpm:PATH`.

    Raises:
        UsageError: as `open_signing_key`.
    """
    return _store(where).secret(where)


def _store(where: str) -> KeyStore:
    return _STORES.get(where.partition(":")[0], _FILES)
