"""edgeguard's signing keys in the shapes that python-tuf takes, so that a token or TPM signs metadata as a file does.

No key is read, made or stored here.
"""

from __future__ import annotations

from typing import NoReturn

from securesystemslib.signer import Key as TufKey
from securesystemslib.signer import SecretsHandler, Signature, Signer, SSlibKey

from edgeguard.admission.keys import PublicKey, SigningKey


def tuf_key(key: PublicKey) -> SSlibKey:
    """The public key as it stands in metadata."""
    return SSlibKey.from_crypto(key.key)


class TufSigner(Signer):
    """Signs metadata with a `SigningKey`."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._public = tuf_key(key.public())

    @property
    def public_key(self) -> SSlibKey:
        """The public half."""
        return self._public

    def sign(self, payload: bytes) -> Signature:
        """Sign the canonical bytes of metadata."""
        return Signature(self._public.keyid, self._key.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: TufKey, secrets_handler: SecretsHandler | None = None
    ) -> NoReturn:
        """Not a way to get one: keys come from `edgeguard.admission.keys` and `edgeguard.keystores`."""
        raise NotImplementedError
