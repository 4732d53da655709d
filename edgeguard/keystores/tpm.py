"""Keys sealed by this machine's TPM: the file is of no use on any other. The TPM gives the key back, it does not sign.

A TPM seals 128 bytes at most, so what is sealed is the kind of key and its number: no PEM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from edgeguard.admission.keys import CURVES, PrivateKey, SigningKey
from edgeguard.admission.post_quantum import SecondKey
from edgeguard.admission.reasons import shown
from edgeguard.device import sealed
from edgeguard.device.tpm import open_tpm
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.keystores.secret import check_secret

if TYPE_CHECKING:
    from pathlib import Path

SCHEME = "tpm:"
SECOND = "ML-DSA-65"
CONTENT = "content"


class TpmStore:
    """See `KeyStore`."""

    def signing_key(self, where: str) -> SigningKey:
        """See `KeyStore`."""
        kind, value = _open(where)
        if kind not in CURVES:
            raise _other(where, kind, "signing key")
        try:
            return PrivateKey(ec.derive_private_key(int.from_bytes(value, "big"), CURVES[kind]))
        except ValueError:
            raise _other(where, "no number of its curve", "signing key") from None

    def second_key(self, where: str) -> SecondKey:
        """See `KeyStore`."""
        kind, value = _open(where)
        if kind != SECOND:
            raise _other(where, kind, "key for second signatures")
        try:
            return SecondKey(mldsa.MLDSA65PrivateKey.from_seed_bytes(value))
        except ValueError:
            raise _other(where, "no seed", "key for second signatures") from None

    def secret(self, where: str) -> bytes:
        """See `KeyStore`."""
        kind, value = _open(where)
        if kind != CONTENT:
            raise _other(where, kind, "content key")
        return check_secret(value, shown(where))


def kind_of(where: str) -> str:
    """What is sealed at `where`: one of `CURVES`, `SECOND` or `CONTENT`. Raises: UsageError when it cannot be read."""
    return _open(where)[0]


def seal_signing_key(key: PrivateKey, path: str | Path) -> None:
    """Seal an EC key into the new file `path`, mode 0600.

    Raises:
        UsageError: the TPM does not do it, or the file exists or cannot be written.
    """
    size = (key.key.curve.key_size + 7) // 8
    kind = next(name for name, curve in CURVES.items() if curve.name == key.key.curve.name)
    _seal(kind, key.key.private_numbers().private_value.to_bytes(size, "big"), path)


def seal_second_key(key: SecondKey, path: str | Path) -> None:
    """Seal an ML-DSA-65 key, as `seal_signing_key` does."""
    _seal(SECOND, key.key.private_bytes_raw(), path)


def seal_secret(secret: bytes, path: str | Path) -> None:
    """Seal a content key, as `seal_signing_key` does."""
    _seal(CONTENT, secret, path)


def _seal(kind: str, value: bytes, path: str | Path) -> None:
    sealed.seal(open_tpm(), kind.encode() + b"\n" + value, path)


def _open(where: str) -> tuple[str, bytes]:
    try:
        data = sealed.unseal(open_tpm(), where.removeprefix(SCHEME))
    except AdmissionError as error:
        raise UsageError(str(error)) from None
    kind, _, value = data.partition(b"\n")
    return kind.decode("ascii", errors="replace"), value


def _other(where: str, kind: str, wanted: str) -> UsageError:
    return UsageError(
        f"`{shown(where)}` holds no {wanted} ({shown(kind, longest=20)}): make one with `edgeguard keys new --tpm`"
    )
