"""Certificates and trusted roots in files: exactly what is pinned, or a refusal in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from edgeguard.admission.authorities import (
    load_authority,
    load_pinned_authority,
    load_trusted_root,
)
from edgeguard.admission.bundle import verify_signature
from edgeguard.admission.loading import load_trust
from edgeguard.admission.trust import Grant
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.terms import AdmissionTerms, Pin, SignerTerm
from tests.hostile.bundles.builders_pki import NOW, WHO, Party, authority, case, digest, made, rsa_key, usual


def _file(folder: Path, *parties: Party) -> Path:
    path = folder / "certificates.pem"
    path.write_bytes(b"".join(party.pem for party in parties))
    return path


def test_a_policy_pins_a_root_by_its_certificate_and_says_who_may_sign_what(tmp_path: Path) -> None:
    signer, between, root = usual()
    path = _file(tmp_path, root)
    term = SignerTerm(authority=Pin(str(path), digest(root)), identity=WHO, signs=("redundant",))
    trust = load_trust(AdmissionTerms(signers=(term,)))
    vouched = verify_signature(case(signer, between, root=root).signature, trust, "model.sig", now=NOW)
    assert (vouched.identity, vouched.grant) == (WHO, Grant(frozenset({"redundant"})))


def test_another_certificate_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    _, between, root = usual()
    with pytest.raises(
        AdmissionError, match=r"unknown-signer: this is not the certificate that the policy pins"
    ):
        load_pinned_authority(Pin(str(_file(tmp_path, between)), digest(root)))


def test_a_pin_is_of_the_certificate_whatever_stands_around_it_in_the_file(tmp_path: Path) -> None:
    root = usual()[2]
    path = _file(tmp_path, root)
    path.write_bytes(b"subject: root\r\n" + path.read_bytes() + b"\n")
    assert load_pinned_authority(Pin(str(path), digest(root))) == root.certificate


def test_an_authority_of_a_kind_that_is_not_accepted_is_refused_at_once(tmp_path: Path) -> None:
    path = _file(tmp_path, made(authority("root", key=rsa_key())))
    with pytest.raises(AdmissionError, match=r"certificate-unfit: .* another kind of key"):
        load_authority(path)


def _private() -> bytes:
    return usual()[0].key.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: b"", "is not a certificate in PEM format"),
        (lambda: b"hello", "is not a certificate in PEM format"),
        (lambda: usual()[2].der, "is not a certificate in PEM format"),
        (lambda: usual()[2].pem.replace(b"M", b"N", 3), "is not a certificate in PEM format"),
        (lambda: usual()[2].pem + usual()[1].pem, "holds 2 certificates: give the root certificate alone"),
        (lambda: usual()[2].pem + _private(), "holds a private key"),
        (lambda: usual()[2].pem * 500, "is too large to be a certificate"),
        (None, "cannot read the certificate"),
    ],
)
def test_a_file_that_is_no_root_certificate_is_refused_in_words(
    data: Callable[[], bytes] | None, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "root.pem"
    if data is not None:
        path.write_bytes(data())
    with pytest.raises(UsageError, match=words):
        load_authority(path)


def test_a_trusted_root_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "root.json").write_bytes(b"{}\n")
    assert load_trusted_root(tmp_path / "root.json") == b"{}\n"
    with pytest.raises(UsageError, match="cannot read the trusted root"):
        load_trusted_root(tmp_path / "none.json")
