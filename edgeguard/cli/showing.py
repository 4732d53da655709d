"""What a key or certificate is in a policy: its kind, its fingerprint, and the entry to paste. Nothing secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission.decryption import key_id
from edgeguard.admission.keyfiles import create, read_public
from edgeguard.admission.keys import SigningKey, public_key, public_pem
from edgeguard.admission.post_quantum import PostQuantumKey, second_pem
from edgeguard.admission.second_keys import load_post_quantum
from edgeguard.admission.streaming import KEY_BYTES
from edgeguard.errors import UsageError
from edgeguard.keystores import open_second_key, open_secret, open_signing_key
from edgeguard.keystores import tpm as tpm_store

_ENTRIES = {
    "key": '{{key: {path}, sha256: "{digest}"}}',
    "post_quantum": 'post_quantum: {{key: {path}, sha256: "{digest}"}}',
    "authority": '{{authority: {path}, sha256: "{digest}"}}',
    "certificate": '{{sha256: "{digest}"}}  # a certificate, to revoke it: only authorities are trusted',
    "content": "decrypt: [{path}]  # content key {digest}",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What was found. `path`: where the policy finds it; empty: only a private half was named."""

    kind: str
    path: str
    digest: str
    pem: bytes = b""
    """The public half of a private key."""

    def entry(self) -> str:
        """The entry of a policy. Raises: UsageError when there is no file of the public half to name in it."""
        if not self.path:
            raise UsageError(
                f"a policy names the public half of a key, whose fingerprint is `{self.digest}`: write it to a file "
                "with `--write FILE.pub`"
            )
        return _ENTRIES[self.kind].format(path=self.path, digest=self.digest)


def look(where: str) -> Shown:
    """Find out what is kept at `where`.

    Raises:
        UsageError: it cannot be read, or is nothing that a policy names.
    """
    if where.startswith("pkcs11:"):
        return _of_signing(open_signing_key(where))
    if where.startswith("tpm:"):
        return _of_sealed(where)
    data = read_public(where, "key")
    if b"PRIVATE KEY" in data:
        return _beside(_of_private(where), Path(where))
    if b"BEGIN CERTIFICATE" in data:
        return _of_certificate(data, where)
    if len(data) == KEY_BYTES and b"-----" not in data:
        return Shown("content", where, key_id(open_secret(where)))
    return _of_public(data, where)


def written(found: Shown, place: Path) -> Shown:
    """Write the public half of a private key to a new file. Raises: UsageError when that cannot be done."""
    if not found.pem:
        raise UsageError("`--write` is for the public half of a private key: leave it out")
    create(place, found.pem, private=False)
    return replace(found, path=str(place))


def fingerprint(where: str) -> str:
    """Hex SHA-256 of a public key or certificate, by which it is revoked. Raises: UsageError when it is neither."""
    found = look(where)
    if found.kind == "content":
        raise UsageError(f"`{where}` is a content key, which cannot be revoked: encrypt with a new one")
    return found.digest


def _of_signing(key: SigningKey) -> Shown:
    half = key.public()
    return Shown("key", "", half.hint, public_pem(half.key))


def _of_second(half: PostQuantumKey) -> Shown:
    return Shown("post_quantum", "", half.hint, second_pem(half.key))


def _of_sealed(where: str) -> Shown:
    kind = tpm_store.kind_of(where)
    if kind == tpm_store.CONTENT:
        return Shown("content", where, key_id(open_secret(where)))
    if kind == tpm_store.SECOND:
        return _of_second(open_second_key(where).public())
    return _of_signing(open_signing_key(where))


def _of_private(where: str) -> Shown:
    try:
        return _of_signing(open_signing_key(where))
    except UsageError as error:
        try:
            return _of_second(open_second_key(where).public())
        except UsageError:
            raise error from None


def _beside(found: Shown, private: Path) -> Shown:
    """Name the public file beside a private one, if it is its other half."""
    place = private.with_suffix(".pub")
    try:
        same = read_public(place, "public key") == found.pem
    except UsageError:
        same = False
    return replace(found, path=str(place)) if same else found


def _of_certificate(data: bytes, where: str) -> Shown:
    try:
        certificates = x509.load_pem_x509_certificates(data)
        digests = [one.fingerprint(hashes.SHA256()).hex() for one in certificates]
        authority = any(_is_authority(one) for one in certificates)
    except Exception:  # noqa: BLE001 - the parser reads late and raises many things, none of them at a good certificate
        raise UsageError(f"`{where}` holds no certificate in PEM format: check the path") from None
    if len(digests) != 1:
        raise UsageError(f"`{where}` holds {len(digests)} certificates: put each into a file of its own")
    return Shown("authority" if authority else "certificate", where, digests[0])


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _of_public(data: bytes, where: str) -> Shown:
    try:
        key = serialization.load_pem_public_key(data)
    except Exception:  # noqa: BLE001 - what is wrong with it is said by the reader of signing keys below
        key = None
    if isinstance(key, mldsa.MLDSA65PublicKey):
        return Shown("post_quantum", where, load_post_quantum(where).hint)
    return Shown("key", where, public_key(data, where).hint)
