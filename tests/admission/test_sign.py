"""Signing: what we sign we admit; the statement is in the field's order; a signature is written whole."""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import Trust, admit_bundle, admit_file, sign_bundle, sign_file, trust_keys
from edgeguard.admission.keys import PublicKey
from edgeguard.admission.sign import Pen, load_chain
from edgeguard.admission.trust import TrustedAuthority
from edgeguard.errors import AdmissionError, UsageError
from tests.hostile.bundles import builders_pki as pki
from tests.hostile.bundles.builders import Forge, Json, good_files, sha256, write_files


def _statement(path: Path) -> Json:
    values: Json = json.loads(base64.b64decode(json.loads(path.read_bytes())["dsseEnvelope"]["payload"]))
    return values


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_signed_bundle_is_admitted(curve: str, unsigned: Path, tmp_path: Path) -> None:
    forge = Forge.at(tmp_path, curve=curve)
    assert sign_bundle(unsigned, forge.private_path) == unsigned / "model.sig"
    admitted = admit_bundle(str(unsigned), trust_keys([forge.public_path]))
    assert admitted.model == good_files()["model.onnx"]
    assert admitted.manifest.name == "signs-primary"
    assert admitted.signer == sha256(forge.public_path.read_bytes())
    assert admitted.digest == _statement(unsigned / "model.sig")["subject"][0]["digest"]["sha256"]


def test_signing_again_replaces_the_signature_and_keeps_the_digest(bundle: Path, forge: Forge) -> None:
    before = admit_bundle(bundle, forge.signers)
    sign_bundle(bundle, forge.private_path)
    assert admit_bundle(bundle, forge.signers).digest == before.digest
    (bundle / "CARD.md").write_text("changed")
    sign_bundle(bundle, forge.private_path)
    assert admit_bundle(bundle, forge.signers).digest != before.digest


def test_resources_are_ordered_by_path_component(unsigned: Path, forge: Forge) -> None:
    write_files(unsigned, {"a.txt": b"", "a/z": b"", "a-b/c": b"", "Z": b""})
    statement = _statement(sign_bundle(unsigned, forge.private_path))
    names = [r["name"] for r in statement["predicate"]["resources"]]
    assert names == ["CARD.md", "Z", "a/z", "a-b/c", "a.txt", "edgeguard.json", "model.onnx"]
    assert admit_bundle(unsigned, forge.signers).model


def test_one_of_several_trusted_keys_is_enough(bundle: Path, forge: Forge, tmp_path: Path) -> None:
    others = [Forge.at(tmp_path, name=name) for name in "ab"]
    signers = Trust.of([others[0].key.public(), forge.key.public(), others[1].key.public()])
    assert admit_bundle(bundle, signers).signer == forge.key.public().hint


def test_signed_file_is_admitted_with_the_digest_of_its_bytes(tmp_path: Path, forge: Forge) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes(b"edgeguard: 1\n")
    assert sign_file(path, forge.private_path) == tmp_path / "policy.yaml.sig"
    admitted = admit_file(path, forge.signers)
    assert (admitted.data, admitted.digest) == (b"edgeguard: 1\n", sha256(b"edgeguard: 1\n"))
    assert admitted.signer == forge.key.public().hint


def test_empty_file_can_be_signed(tmp_path: Path, forge: Forge) -> None:
    (tmp_path / "empty").touch()
    sign_file(tmp_path / "empty", forge.private_path)
    assert admit_file(tmp_path / "empty", forge.signers).data == b""


def test_file_in_the_current_folder_needs_no_slash(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.yaml").write_text("x")
    sign_file("policy.yaml", forge.private_path)
    assert admit_file("policy.yaml", forge.signers).data == b"x"


def test_bundle_may_be_the_current_folder(
    bundle: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle)
    sign_bundle(".", forge.private_path)
    assert admit_bundle(".", forge.signers).model
    assert _statement(Path("model.sig"))["subject"][0]["name"] == "bundle"


def test_bundle_may_be_moved_and_reached_through_a_link(bundle: Path, forge: Forge) -> None:
    bundle.rename(bundle.with_name("version-7"))
    bundle.symlink_to("version-7")
    assert admit_bundle(bundle, forge.signers).model


def test_signature_can_be_read_by_the_device(bundle: Path) -> None:
    assert stat.S_IMODE((bundle / "model.sig").stat().st_mode) == 0o644


def test_signature_is_not_signed(tmp_path: Path, forge: Forge) -> None:
    (tmp_path / "a").touch()
    signature = sign_file(tmp_path / "a", forge.private_path)
    with pytest.raises(AdmissionError, match="this is a signature already"):
        sign_file(signature, forge.private_path)


def test_failed_write_leaves_the_old_signature_and_no_rest(
    bundle: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (bundle / "model.sig").read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(UsageError, match=r"no space left on device"):
        sign_bundle(bundle, forge.private_path)
    monkeypatch.undo()
    assert (bundle / "model.sig").read_bytes() == before
    assert admit_bundle(bundle, forge.signers).model


def test_folder_that_cannot_be_written_is_a_usage_error(
    bundle: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("edgeguard.admission.keyfiles.disk.write_new", fail)
    with pytest.raises(UsageError, match=r"model\.sig`: read-only file system"):
        sign_bundle(bundle, forge.private_path)


def test_folder_that_is_no_bundle_is_not_signed(tmp_path: Path, forge: Forge) -> None:
    with pytest.raises(AdmissionError, match="needs this description"):
        sign_bundle(tmp_path, forge.private_path)
    with pytest.raises(AdmissionError, match="is not there"):
        sign_bundle(tmp_path / "none", forge.private_path)


def test_key_in_memory_signs_as_the_one_in_its_file(unsigned: Path, forge: Forge, tmp_path: Path) -> None:
    sign_bundle(unsigned, forge.key)
    assert admit_bundle(unsigned, forge.signers).signer == forge.key.public().hint


def test_key_whose_halves_differ_leaves_no_signature(unsigned: Path, forge: Forge, tmp_path: Path) -> None:
    """As a token may hold it: what is written has been verified first."""
    other = Forge.at(tmp_path, name="other").key

    class Torn:
        def public(self) -> PublicKey:
            return other.public()

        def sign(self, message: bytes) -> bytes:
            return forge.key.sign(message)

    with pytest.raises(UsageError, match="the halves do not belong together"):
        sign_bundle(unsigned, Torn())
    assert not (unsigned / "model.sig").exists()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_bundle_signed_under_a_chain_is_admitted_by_its_root(length: int, unsigned: Path) -> None:
    """However much of the chain is carried along: a device knows the root itself, and the intermediate may be it."""
    signer, middle, root = pki.usual()
    chain = tuple(party.der for party in (signer, middle, root)[:length])
    sign_bundle(unsigned, signer.signing, Pen(chain=chain, now=pki.NOW))
    trusted = middle if length == 1 else root
    trust = Trust(authorities=(TrustedAuthority(trusted.certificate, pki.WHO),))
    assert admit_bundle(unsigned, trust, now=pki.NOW).identity == pki.WHO


UNFIT: dict[str, tuple[Callable[[pki.Party], pki.Party], str]] = {
    "expired": (lambda above: pki.made(pki.Plan(days=(-10, -1)), above), "certificate-expired"),
    "not yet valid": (lambda above: pki.made(pki.Plan(days=(1, 10)), above), "certificate-not-yet-valid"),
    "not for signing": (
        lambda above: pki.made(pki.Plan(usage=frozenset({"key_agreement"})), above),
        "certificate-unfit",
    ),
}


@pytest.mark.parametrize(("make", "reason"), UNFIT.values(), ids=UNFIT)
def test_certificate_that_admission_would_refuse_signs_nothing(
    make: Callable[[pki.Party], pki.Party], reason: str, unsigned: Path
) -> None:
    _, middle, _ = pki.usual()
    signer = make(middle)
    with pytest.raises(AdmissionError) as caught:
        sign_bundle(unsigned, signer.signing, Pen(chain=(signer.der, middle.der), now=pki.NOW))
    assert caught.value.reason == reason
    assert not (unsigned / "model.sig").exists()


def test_chain_that_does_not_fit_together_or_the_key_signs_nothing(unsigned: Path, forge: Forge) -> None:
    signer, middle, _ = pki.usual()
    _, other, _ = pki.stranger()
    with pytest.raises(AdmissionError) as caught:
        sign_bundle(unsigned, signer.signing, Pen(chain=(signer.der, other.der), now=pki.NOW))
    assert caught.value.reason == "certificate-untrusted"
    with pytest.raises(UsageError, match="the first certificate is for another key"):
        sign_bundle(unsigned, forge.key, Pen(chain=(signer.der, middle.der), now=pki.NOW))
    with pytest.raises(AdmissionError, match="certificate-malformed"):
        sign_bundle(unsigned, forge.key, Pen(chain=(b"0",), now=pki.NOW))
    assert not (unsigned / "model.sig").exists()


def test_chain_is_read_in_its_order_and_nothing_else_is(tmp_path: Path, forge: Forge) -> None:
    signer, middle, _ = pki.usual()
    chain = tmp_path / "chain.pem"
    chain.write_bytes(b"signer\n" + signer.pem + b"\nabove\n" + middle.pem)
    assert load_chain(chain) == (signer.der, middle.der)
    for bad in (b"", b"hello", forge.public_path.read_bytes(), signer.pem[:200]):
        chain.write_bytes(bad)
        with pytest.raises(UsageError, match="holds no certificates in PEM format"):
            load_chain(chain)
    chain.write_bytes(signer.pem + forge.private_path.read_bytes())
    with pytest.raises(UsageError, match="holds a private key"):
        load_chain(chain)


def test_manifest_of_a_pinned_bundle_is_signed_only_when_it_is_one(tmp_path: Path, forge: Forge) -> None:
    path = tmp_path / "third-party.edgeguard.json"
    path.write_bytes(good_files()["edgeguard.json"])
    sign_file(path, forge.key)
    before = (tmp_path / "third-party.edgeguard.json.sig").read_bytes()
    path.write_bytes(b"{}")
    with pytest.raises(AdmissionError, match="manifest-invalid"):
        sign_file(path, forge.key)
    assert (tmp_path / "third-party.edgeguard.json.sig").read_bytes() == before
