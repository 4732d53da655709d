"""Signing: what `edgeguard sign` does, so that admission and the field's stock verifiers accept it.

Reads files by the same rules as admission, refuses to sign what admission would refuse to run, and verifies what it
made before anybody sees it. A signature appears whole or not at all: it is written beside its place and then renamed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from edgeguard.admission.bundle import (
    SECOND_FILE,
    SIGNATURE_FILE,
    Secrets,
    check_contents,
    check_manifest,
    verify_signature,
)
from edgeguard.admission.envelope import pre_authentication_encoding, seal
from edgeguard.admission.keyfiles import read_public, replace
from edgeguard.admission.keys import SigningKey, load_private_key
from edgeguard.admission.manifest import MANIFEST_FILE, parse_manifest
from edgeguard.admission.post_quantum import SUFFIX, SecondKey
from edgeguard.admission.reasons import refusal
from edgeguard.admission.statement import SINGLE_FILE, build_statement
from edgeguard.admission.store import (
    MAX_FILE_BYTES,
    list_files,
    no_secrets,
    open_folder,
    read_file,
    read_files,
)
from edgeguard.admission.trust import Demands, Grant, Moment, Trust, TrustedAuthority, TrustedKey
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.terms import Limits

if TYPE_CHECKING:
    from edgeguard.admission.x509 import Certificate


@dataclass(frozen=True, slots=True)
class Pen:
    """What to sign with besides the key. The default: with nothing."""

    chain: tuple[bytes, ...] = ()
    """Certificates (DER) that vouch for the key, its own first; the last is taken for trusted when it is checked."""
    second: SecondKey | None = None
    """Signs too, with ML-DSA-65."""
    now: Moment | None = None
    """For certificates: one that is not valid now is refused."""


def sign_bundle(
    folder: str | Path,
    key: SigningKey | str | Path,
    pen: Pen = Pen(),
    *,
    secrets: Secrets = no_secrets,
    limits: Limits = Limits(),
) -> Path:
    """Sign every file of a model bundle but the signatures, and write `model.sig`. Returns its path.

    `key`: one, or the file it is in. `secrets`: the content key of an encrypted bundle, which is looked into, too.
    `limits`: what the model's graph may be, where the policy that will admit it allows more than the usual.

    Raises:
        UsageError: a key cannot be used, or a signature cannot be written.
        AdmissionError: the folder is not a bundle that admission would accept.
    """
    signer = _signer(key, pen)
    root = str(folder)
    place = Path(folder) / SIGNATURE_FILE
    check_renewable(place, pen)
    with open_folder(root) as descriptor:
        names = [name for name in list_files(descriptor, root) if name not in (SIGNATURE_FILE, SECOND_FILE)]
        contents = read_files(descriptor, root, names)
    check_contents(check_manifest(contents, root), contents, root, Demands(limits=limits), secrets)
    digests = {name: content.digest for name, content in contents.items()}
    _write(place, build_statement(Path(folder).resolve().name, digests), signer, pen)
    return place


def sign_file(path: str | Path, key: SigningKey | str | Path, pen: Pen = Pen()) -> Path:
    """Sign the single file `path` and write the signature beside it as `path` + `.sig`. Returns that path.

    Raises:
        UsageError: a key cannot be used, or a signature cannot be written.
        AdmissionError: the file is missing, a link, not a regular file or too large; or it is a manifest that admission
            would refuse.
    """
    signer = _signer(key, pen)
    place = Path(path)
    if place.name.endswith((".sig", f".sig{SUFFIX}")):
        raise refusal("not-a-file", str(place), "this is a signature already: name the file that it is for")
    signature = place.with_name(f"{place.name}.sig")
    check_renewable(signature, pen)
    with open_folder(str(place.parent)) as descriptor:
        content = read_file(descriptor, str(place.parent), place.name, MAX_FILE_BYTES)
    if place.name.endswith(MANIFEST_FILE):  # of a bundle that the policy pins
        parse_manifest(content.data, str(place))
    _write(signature, build_statement(place.name, {SINGLE_FILE: content.digest}), signer, pen)
    return signature


def load_chain(path: str | Path) -> tuple[bytes, ...]:
    """Read the certificates (PEM, the signer's own first) to sign with, as DER.

    Raises:
        UsageError: the file is missing, or holds something else.
    """
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - heavy, and most sign with keys only

    data = read_public(path, "chain of certificates")
    if b"PRIVATE KEY" in data:
        raise UsageError(f"`{path}` holds a private key: put its certificates into a file of their own")
    try:
        found = load_pem_x509_certificates(data)
        return tuple(one.public_bytes(serialization.Encoding.DER) for one in found)
    except Exception:  # noqa: BLE001 - the parser raises many things, none of them at a good file
        raise UsageError(f"`{path}` holds no certificates in PEM format: check the path") from None


def _certificate(der: bytes, path: str) -> Certificate:
    from edgeguard.admission.x509 import read_certificate  # noqa: PLC0415 - as above

    return read_certificate(der, path)


def _signer(key: SigningKey | str | Path, pen: Pen) -> SigningKey:
    signer = load_private_key(key) if isinstance(key, (str, Path)) else key
    if pen.chain:
        own = _certificate(pen.chain[0], "the first certificate")
        if own.key.hint != signer.public().hint:
            raise UsageError(
                "the first certificate is for another key: name the chain of this key, its own certificate first"
            )
    return signer


def check_renewable(place: Path, pen: Pen) -> None:
    """Refuse to renew a first signature alone: every device that asks for the second would refuse the two.

    Raises:
        UsageError: beside `place` lies a second signature, and `pen` has no second key.
    """
    second = f"{place}{SUFFIX}"
    if pen.second is None and os.path.lexists(second):
        raise UsageError(
            f"`{second}` would not fit the new signature: sign with `--second KEY` too, or remove it first"
        )


def _write(place: Path, payload: bytes, key: SigningKey, pen: Pen) -> None:
    first = seal(payload, key, pen.chain)
    second = pen.second.sign(pre_authentication_encoding(payload)) if pen.second else None
    try:
        verify_signature(first, _trust(key, pen), str(place), second=second, now=pen.now)
    except AdmissionError as error:
        if error.reason not in ("signature-invalid", "post-quantum-invalid"):
            raise
        raise UsageError(
            "what the key signed does not verify with its public half: the halves do not belong together"
        ) from None
    if second is not None:
        replace(f"{place}{SUFFIX}", second)
    replace(place, first)


def _trust(key: SigningKey, pen: Pen) -> Trust:
    """Whom a device trusts that takes just this signer."""
    grant = Grant(post_quantum=pen.second.public() if pen.second else None)
    if pen.chain:
        last = _certificate(pen.chain[-1], "the last certificate").loaded
        return Trust(authorities=(TrustedAuthority(last, grant=grant),))
    return Trust(keys=(TrustedKey(key.public(), grant),))
