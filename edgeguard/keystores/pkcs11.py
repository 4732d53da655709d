"""Keys on security tokens. `token` does the work; it needs the extra `[pkcs11]`, and is imported only when asked."""

from __future__ import annotations

from types import ModuleType

from edgeguard.admission.keys import SigningKey
from edgeguard.admission.post_quantum import SecondKey
from edgeguard.admission.reasons import shown
from edgeguard.errors import UsageError
from edgeguard.keystores.secret import check_secret
from edgeguard.keystores.uri import parse_uri


class Pkcs11Store:
    """See `KeyStore`."""

    def signing_key(self, where: str) -> SigningKey:
        """See `KeyStore`."""
        uri = parse_uri(where)
        key: SigningKey = _token().signing_key(uri, where)
        return key

    def second_key(self, where: str) -> SecondKey:
        """See `KeyStore`."""
        raise UsageError(
            f"`{shown(where)}`: no ML-DSA-65 keys on tokens yet: keep the second key in a file, or at `tpm:PATH`"
        )

    def secret(self, where: str) -> bytes:
        """See `KeyStore`: the value of a secret key that may be read out, or of a data object."""
        uri = parse_uri(where)
        return check_secret(_token().secret(uri, where), shown(where))


def _token() -> ModuleType:
    try:
        from edgeguard.keystores import token  # noqa: PLC0415 - of an extra
    except ImportError:
        raise UsageError(
            "keys on tokens need the extra `pkcs11`: run `pip install 'edgeguard-runtime[pkcs11]'`"
        ) from None
    return token
