"""From a policy's terms to what may run: who signs what, what is revoked, what is asked, and in which place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper

from edgeguard.admission import MemoryFloor, Moment, admit_file, admit_models, load_trust, sign_file
from edgeguard.admission.loading import role_of
from edgeguard.program import ModelRef
from edgeguard.terms import AdmissionTerms, AssessmentTerm, ClaimsTerm, Limits, Pin, SignerTerm
from tests.hostile.bundles.builders import Forge, good_files, manifest, sha256, write_files
from tests.refusals import Refused


def copying_model() -> bytes:
    """A filter that changes nothing."""
    picture = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3, 4, 4]) for n in ("image", "logits")
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["image"], ["logits"])], "filter", picture[:1], picture[1:]
    )
    return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())


NOW = Moment(1_790_000_000.0)


def signer(forge: Forge, *signs: str) -> SignerTerm:
    return SignerTerm(key=Pin(str(forge.public_path), forge.key.public().hint), signs=signs)


@pytest.fixture
def place(tmp_path: Path, forge: Forge) -> Path:
    files = good_files()
    return write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})


@pytest.mark.parametrize(
    ("place_name", "role"),
    [
        ("primary", "primary"),
        ("primary.2", "primary"),
        ("filter", "filter"),
        ("fused", "fused"),
        ("third", "redundant"),
    ],
)
def test_a_place_asks_for_a_role(place_name: str, role: str) -> None:
    assert role_of(place_name) == role


def test_a_signer_signs_only_what_the_policy_lets_them(place: Path, forge: Forge, refused: Refused) -> None:
    ref = ModelRef("primary", str(place))
    for signs in ((), ("primary",), ("calibration", "primary")):
        assert admit_models([ref], AdmissionTerms((signer(forge, *signs),)), now=NOW)
    terms = AdmissionTerms((signer(forge, "redundant", "calibration"),))
    refused(lambda: admit_models([ref], terms, now=NOW), "signer-not-allowed", "bundle")


def test_a_single_file_is_signed_by_who_may_sign_its_kind(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    file = tmp_path / "calibration.json"
    file.write_text("{}")
    sign_file(file, forge.private_path)
    trust = load_trust(AdmissionTerms((signer(forge, "calibration"),)))
    assert admit_file(file, trust, kind="calibration").data == b"{}"
    refused(lambda: admit_file(file, trust, kind="manifest"), "signer-not-allowed", "calibration.json")
    revoked = load_trust(AdmissionTerms((signer(forge),), revoked=frozenset({sha256(b"{}")})))
    refused(lambda: admit_file(file, revoked), "revoked", "calibration.json")


def test_a_key_that_was_exchanged_is_refused(
    place: Path, forge: Forge, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "keys").mkdir()
    stranger = Forge.at(tmp_path / "keys")
    term = SignerTerm(key=Pin(str(stranger.public_path), forge.key.public().hint))
    refused(lambda: load_trust(AdmissionTerms((term,))), "unknown-signer", "test.pub")


def test_terms_without_a_signer_admit_nothing(place: Path, refused: Refused) -> None:
    ref = ModelRef("primary", str(place))
    refused(lambda: admit_models([ref], AdmissionTerms(), now=NOW), "unknown-signer", "model.sig")


@pytest.mark.parametrize("what", ["key", "bundle"])
def test_what_was_revoked_counts_no_more(what: str, place: Path, forge: Forge, refused: Refused) -> None:
    terms = AdmissionTerms((signer(forge),))
    ref = ModelRef("primary", str(place))
    admitted = admit_models([ref], terms, now=NOW)["primary"]
    digest = {"key": admitted.signer, "bundle": admitted.digest}[what]
    revoked = replace(terms, revoked=frozenset({digest}))
    path = {"key": "model.sig", "bundle": "bundle"}[what]
    refused(lambda: admit_models([ref], revoked, now=NOW), "revoked", path)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"security_version": 4}, "rollback"),
        ({"assessment": AssessmentTerm(robust_accuracy=0.5)}, "attestation-missing"),
        ({"claims": ClaimsTerm(adversarial_training=True)}, "attestation-missing"),
        ({"calibration_attested": True}, "attestation-missing"),
        ({"post_quantum": True}, "post-quantum-missing"),
        ({"limits": Limits(nodes=2)}, "too-large"),
        ({"limits": Limits(memory=20)}, "too-much-memory"),
        ({"limits": Limits(opset=(18, 20))}, "opset-unsupported"),
    ],
)
def test_every_term_reaches_the_bundle(
    asked: dict[str, object], reason: str, place: Path, forge: Forge, refused: Refused
) -> None:
    terms = replace(AdmissionTerms((signer(forge),)), **asked)  # type: ignore[arg-type] # by name
    refused(lambda: admit_models([ModelRef("primary", str(place))], terms, now=NOW), reason, "")


def test_every_place_has_a_memory_of_its_own(place: Path, forge: Forge, refused: Refused) -> None:
    terms = AdmissionTerms((signer(forge),))
    floor = MemoryFloor({"primary": 3, "primary.1": 4})
    assert admit_models([ModelRef("primary", str(place))], terms, now=NOW, floor=floor)
    refused(
        lambda: admit_models([ModelRef("primary.1", str(place))], terms, now=NOW, floor=floor), "rollback", ""
    )


def test_a_bundle_for_another_device_is_refused(tmp_path: Path, forge: Forge, refused: Refused) -> None:
    files = {**good_files(), "edgeguard.json": manifest(lambda m: m.update(target=["linux-aarch64"]))}
    folder = write_files(tmp_path / "b", {**files, "model.sig": forge.sign_files(files)})
    terms, ref = AdmissionTerms((signer(forge),)), ModelRef("primary", str(folder))
    assert admit_models([ref], terms, now=NOW, platform="linux-aarch64")
    refused(lambda: admit_models([ref], terms, now=NOW, platform="linux-x86_64"), "wrong-device", "")


def test_a_pinned_bundle_takes_its_manifest_from_a_file_that_was_signed(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = {name: data for name, data in good_files().items() if name != "edgeguard.json"}
    folder = write_files(tmp_path / "theirs", files)
    given = tmp_path / "theirs.edgeguard.json"
    given.write_bytes(manifest())
    pin = sha256("".join(f"{sha256(files[n])}  {n}\n" for n in sorted(files)).encode())
    ref = ModelRef("primary", str(folder), pin=pin, manifest=str(given))
    terms = AdmissionTerms((signer(forge, "manifest"),))
    refused(lambda: admit_models([ref], terms, now=NOW), "signature-missing", ".sig")
    sign_file(given, forge.private_path)
    assert admit_models([ref], terms, now=NOW)["primary"].manifest.name == "signs-primary"
    wrong = AdmissionTerms((signer(forge, "calibration"),))
    refused(lambda: admit_models([ref], wrong, now=NOW), "signer-not-allowed", "theirs.edgeguard.json")


def test_a_filter_gives_no_answer_that_an_assessment_could_measure(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    output = {"name": "logits", "dtype": "float32", "shape": ["N", 3, 4, 4], "meaning": "image"}
    described = manifest(
        lambda m: (m.update(role="filter", outputs=[output], temperature=1.0), m.pop("classes"))
    )
    files = {**good_files(), "edgeguard.json": described, "model.onnx": copying_model()}
    folder = write_files(tmp_path / "filter", {**files, "model.sig": forge.sign_files(files)})
    terms = AdmissionTerms((signer(forge),), assessment=AssessmentTerm(robust_accuracy=0.5))
    assert admit_models([ModelRef("filter", str(folder))], terms, now=NOW)
