"""The second signature: asked for it must be there and verify; else it is not looked at. Stock verifiers pass it by."""

from __future__ import annotations

import importlib
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import mldsa

from edgeguard.admission import Trust, admit_bundle, admit_file, sign_bundle, sign_file
from edgeguard.admission.envelope import pre_authentication_encoding
from edgeguard.admission.keys import create_pair
from edgeguard.admission.post_quantum import SIGNATURE_BYTES, SecondKey
from edgeguard.admission.second_keys import (
    generate_second,
    load_pinned_post_quantum,
    load_post_quantum,
    load_second_key,
)
from edgeguard.admission.sign import Pen
from edgeguard.admission.trust import Grant, TrustedAuthority, TrustedKey
from edgeguard.errors import AdmissionError, UsageError
from edgeguard.terms import Pin
from tests.hostile.bundles import builders_pki as pki
from tests.hostile.bundles.builders import Forge, sha256

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def second() -> SecondKey:
    return SecondKey(mldsa.MLDSA65PrivateKey.generate())


def trust_of(forge: Forge, second: SecondKey | None, *, required: bool = False) -> Trust:
    grant = Grant(post_quantum=second.public() if second else None)
    return Trust(keys=(TrustedKey(forge.key.public(), grant),), post_quantum=required)


def _pem_pair(key: Any) -> tuple[bytes, bytes]:
    return (
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    )


@pytest.mark.parametrize("required", [False, True])
def test_bundle_signed_with_both_keys_is_admitted(
    required: bool, unsigned: Path, forge: Forge, second: SecondKey
) -> None:
    sign_bundle(unsigned, forge.key, Pen(second=second))
    beside = unsigned / "model.sig.ml-dsa-65"
    assert beside.stat().st_size == SIGNATURE_BYTES
    assert stat.S_IMODE(beside.stat().st_mode) == 0o644
    assert (
        admit_bundle(unsigned, trust_of(forge, second, required=required)).signer == forge.key.public().hint
    )


def test_file_signed_with_both_keys_is_admitted(tmp_path: Path, forge: Forge, second: SecondKey) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("edgeguard: 1\n")
    sign_file(path, forge.private_path, Pen(second=second))
    assert (tmp_path / "policy.yaml.sig.ml-dsa-65").stat().st_size == SIGNATURE_BYTES
    assert admit_file(path, trust_of(forge, second, required=True)).data == b"edgeguard: 1\n"


@pytest.mark.parametrize("required", [False, True])
def test_second_signature_that_is_deleted_is_missed(
    required: bool, unsigned: Path, forge: Forge, second: SecondKey
) -> None:
    """Also where the policy does not require one of everybody: a signer with two keys signs with both."""
    sign_bundle(unsigned, forge.key, Pen(second=second))
    (unsigned / "model.sig.ml-dsa-65").unlink()
    with pytest.raises(AdmissionError, match=r"model\.sig\.ml-dsa-65: post-quantum-missing"):
        admit_bundle(unsigned, trust_of(forge, second, required=required))


def test_signer_without_a_second_key_is_refused_where_all_need_one(bundle: Path, forge: Forge) -> None:
    with pytest.raises(AdmissionError, match="post-quantum-missing: the policy asks for second signatures"):
        admit_bundle(bundle, trust_of(forge, None, required=True))


def test_second_signature_of_a_signer_without_a_second_key_is_not_looked_at(
    unsigned: Path, forge: Forge, second: SecondKey
) -> None:
    """So that signing with two keys can begin before the first policy names the second key."""
    sign_bundle(unsigned, forge.key, Pen(second=second))
    assert admit_bundle(unsigned, forge.signers).model


def test_revoked_second_key_counts_no_more(unsigned: Path, forge: Forge, second: SecondKey) -> None:
    sign_bundle(unsigned, forge.key, Pen(second=second))
    good = trust_of(forge, second)
    revoked = Trust(keys=good.keys, revoked=frozenset({second.public().hint}))
    with pytest.raises(AdmissionError, match="revoked: the second key"):
        admit_bundle(unsigned, revoked)


@pytest.mark.parametrize("there", [True, False])
def test_signer_under_a_certificate_may_have_a_second_key_too(
    there: bool, unsigned: Path, second: SecondKey
) -> None:
    signer, middle, root = pki.usual()
    sign_bundle(unsigned, signer.signing, Pen((signer.der, middle.der), second, pki.NOW))
    grant = Grant(post_quantum=second.public())
    trust = Trust(authorities=(TrustedAuthority(root.certificate, pki.WHO, grant),), post_quantum=True)
    if there:
        assert admit_bundle(unsigned, trust, now=pki.NOW).identity == pki.WHO
        return
    (unsigned / "model.sig.ml-dsa-65").unlink()
    with pytest.raises(AdmissionError, match="post-quantum-missing"):
        admit_bundle(unsigned, trust, now=pki.NOW)


def test_first_signature_is_not_renewed_alone(unsigned: Path, forge: Forge, second: SecondKey) -> None:
    sign_bundle(unsigned, forge.key, Pen(second=second))
    before = (unsigned / "model.sig").read_bytes()
    with pytest.raises(UsageError, match="sign with `--second KEY` too"):
        sign_bundle(unsigned, forge.key)
    assert (unsigned / "model.sig").read_bytes() == before
    sign_bundle(unsigned, forge.key, Pen(second=second))
    assert admit_bundle(unsigned, trust_of(forge, second)).model


def test_second_signature_is_not_signed(unsigned: Path, forge: Forge, second: SecondKey) -> None:
    sign_bundle(unsigned, forge.key, Pen(second=second))
    with pytest.raises(AdmissionError, match="this is a signature already"):
        sign_file(unsigned / "model.sig.ml-dsa-65", forge.key)


def test_stock_verifier_passes_the_second_signature_by(
    unsigned: Path, forge: Forge, second: SecondKey
) -> None:
    pytest.importorskip("model_signing", reason="the reference implementation is a development dependency")
    stock: Any = importlib.import_module("model_signing.verifying")
    signature = sign_bundle(unsigned, forge.key, Pen(second=second))
    assert (unsigned / "model.sig.ml-dsa-65").exists()
    verifier = stock.Config().use_elliptic_key_verifier(public_key=forge.public_path)
    verifier.verify(unsigned, signature)


def test_signature_of_another_implementation_verifies() -> None:
    """Made by dilithium-py 1.5.1 (pure Python, from FIPS 204) over the pre-authentication encoding of `{}`."""
    key = load_post_quantum(DATA / "ml-dsa-65.pub")
    message = pre_authentication_encoding(b"{}")
    signature = (DATA / "ml-dsa-65.sig").read_bytes()
    assert key.verifies(signature, message)
    assert not key.verifies(signature, message + b" ")
    with_context = (DATA / "ml-dsa-65.context.sig").read_bytes()
    assert not key.verifies(with_context, message)


def test_key_files_are_read_back(tmp_path: Path) -> None:
    create_pair(tmp_path / "a.key", tmp_path / "a.pub", *generate_second())
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    signer, half = load_second_key(tmp_path / "a.key"), load_post_quantum(tmp_path / "a.pub")
    assert half.hint == signer.public().hint == sha256((tmp_path / "a.pub").read_bytes())
    assert half.verifies(signer.sign(b"message"), b"message")
    assert not half.verifies(signer.sign(b"message"), b"massage")
    assert "PRIVATE" not in repr(signer)


def test_pinned_key_must_be_the_one_that_is_pinned(tmp_path: Path) -> None:
    create_pair(tmp_path / "a.key", tmp_path / "a.pub", *generate_second())
    path = str(tmp_path / "a.pub")
    digest = sha256((tmp_path / "a.pub").read_bytes())
    assert load_pinned_post_quantum(Pin(path, digest)).hint == digest
    with pytest.raises(AdmissionError, match="unknown-signer: this is not the key that the policy pins"):
        load_pinned_post_quantum(Pin(path, "0" * 64))


OTHERS: list[Callable[[], Any]] = [mldsa.MLDSA44PrivateKey.generate, mldsa.MLDSA87PrivateKey.generate]


@pytest.mark.parametrize("make", OTHERS)
def test_other_strengths_of_key_are_refused(make: Callable[[], Any], tmp_path: Path) -> None:
    create_pair(tmp_path / "a.key", tmp_path / "a.pub", *_pem_pair(make()))
    with pytest.raises(UsageError, match="is not an ML-DSA-65 key: use an ML-DSA-65 key"):
        load_post_quantum(tmp_path / "a.pub")
    with pytest.raises(UsageError, match="is not an ML-DSA-65 key: use an ML-DSA-65 key"):
        load_second_key(tmp_path / "a.key")


def test_halves_in_each_other_s_place_and_garbage_are_refused(tmp_path: Path, forge: Forge) -> None:
    secret, public = generate_second()
    create_pair(tmp_path / "a.key", tmp_path / "a.pub", secret, public)
    with pytest.raises(UsageError, match="holds a private key: give the public key"):
        load_post_quantum(tmp_path / "a.key")
    (tmp_path / "b.key").write_bytes(public)
    (tmp_path / "b.key").chmod(0o600)
    with pytest.raises(UsageError, match="not a private key in PEM format"):
        load_second_key(tmp_path / "b.key")
    with pytest.raises(UsageError, match="is not an ML-DSA-65 key"):
        load_post_quantum(forge.public_path)
    (tmp_path / "two.pub").write_bytes(public + public)
    with pytest.raises(UsageError, match="holds 2 PEM blocks"):
        load_post_quantum(tmp_path / "two.pub")
    (tmp_path / "none.pub").write_bytes(b"hello")
    with pytest.raises(UsageError, match="is not a public key in PEM format"):
        load_post_quantum(tmp_path / "none.pub")
