"""Keys in files that only their owner can use: PEM for what signs, 32 bytes for what decrypts."""

from __future__ import annotations

from edgeguard.admission.keyfiles import read_private
from edgeguard.admission.keys import SigningKey, load_private_key
from edgeguard.admission.post_quantum import SecondKey
from edgeguard.admission.second_keys import load_second_key
from edgeguard.keystores.secret import check_secret


class FileStore:
    """See `KeyStore`."""

    def signing_key(self, where: str) -> SigningKey:
        """See `KeyStore`."""
        return load_private_key(where)

    def second_key(self, where: str) -> SecondKey:
        """See `KeyStore`."""
        return load_second_key(where)

    def secret(self, where: str) -> bytes:
        """See `KeyStore`."""
        return check_secret(read_private(where, "content key"), where)
