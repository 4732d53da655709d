"""inspect: all that can be read is shown, without trust; all that would be refused is named last, with exit code 4."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from edgeguard.admission.envelope import seal
from edgeguard.admission.examine import examine_bundle
from edgeguard.admission.statement import build_statement
from edgeguard.cli.app import invoke
from tests.hostile.bundles.builders import (
    Forge,
    Json,
    compact,
    good_files,
    manifest,
    resource,
    sha256,
    statement_of,
    write_files,
)
from tests.hostile.bundles.builders_pki import WHO, Plan, authority, made

Call = Callable[..., Any]
KEYS = {"path", "kind", "verified", "digest", "pin", "files", "signature", "manifest", "model", "refused"}


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Forge:
    return Forge.at(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def folder(tmp_path: Path, forge: Forge) -> Path:
    """A good signed bundle."""
    files = good_files()
    return write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})


def found(call: Call, path: object, *, code: int = 0) -> Any:
    """The JSON answer."""
    said = call("inspect", path, "--format", "json")
    assert said.code == code, said.err
    values = json.loads(said.out)
    assert set(values) == KEYS
    assert values["verified"] is False
    assert [f"{r['path']}: {r['reason']}: {r['message']}" for r in values["refused"]] == [
        line.removeprefix("error: ") for line in said.err.splitlines()
    ]
    assert bool(values["refused"]) == (code == 4)
    return values


def reasons(values: Any) -> list[str]:
    return [entry["reason"] for entry in values["refused"]]


def test_a_good_bundle_is_shown_whole_and_nothing_is_refused(call: Call, folder: Path, forge: Forge) -> None:
    values = found(call, folder)
    assert {file["name"]: file["state"] for file in values["files"]} == dict.fromkeys(good_files(), "matches")
    assert values["signature"] == {
        "kind": "key",
        "key": forge.key.public().hint,
        "certificates": [],
        "second": False,
    }
    assert (values["manifest"]["name"], values["manifest"]["classes"]) == ("signs-primary", ["none", "stop"])
    assert values["model"]["operators"] == {"Flatten": 1, "GlobalAveragePool": 1, "MatMul": 1}
    assert values["model"]["opsets"] == {"": 17}


def test_the_digest_is_the_one_that_verify_admits(call: Call, folder: Path, forge: Forge) -> None:
    admitted = call("verify", folder, "--trust", forge.public_path, "--format", "json")
    assert found(call, folder)["digest"] == json.loads(admitted.out)["digest"]


def test_the_pin_is_what_sha256sum_would_list(call: Call, folder: Path) -> None:
    listing = "".join(f"{sha256(data)}  {name}\n" for name, data in sorted(good_files().items()))
    values = found(call, folder)
    assert values["pin"] == sha256(listing.encode())
    assert f"  pin                {values['pin']}" in call("inspect", folder).out
    (folder / "CARD.md").write_text("other")
    assert found(call, folder, code=4)["pin"] != values["pin"]
    assert found(call, folder / "model.onnx")["pin"] == ""


def test_the_text_says_that_nothing_was_verified_and_fits_on_a_page(call: Call, folder: Path) -> None:
    lines = call("inspect", folder).out.splitlines()
    assert lines[:2] == [
        f"{folder}: bundle",
        "nothing below was verified: whoever made it can write anything",
    ]
    assert "signature, as it claims" in lines
    assert max(map(len, lines[1:])) <= 100
    for row in (
        "  opset              ai.onnx 17",
        "  output             logits float32 [N, 2] (logits)",
        "  attestations       none",
        "  custom operators   none",
        "  classes            2: none, stop",
    ):
        assert row in lines


def test_whoever_signed_need_not_be_trusted(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_TRUST", raising=False)
    assert call("inspect", folder).code == 0


def test_everything_that_a_manifest_states_is_shown(call: Call, tmp_path: Path, forge: Forge) -> None:
    def change(values: Json) -> None:
        values.update(
            not_after="2028-11-01T00:00:00Z",
            target=["linux-aarch64"],
            assessment={"report": "a.json", "samples": 5, "risk": 0.5},
            training={"ensemble": True},
            watermark={"triggers": "5d" * 32, "count": 2},
        )

    files = {**good_files(), "edgeguard.json": manifest(change), "a.json": b"{}"}
    folder = write_files(tmp_path / "b", {**files, "model.sig": forge.sign_files(files)})
    said = call("inspect", folder)
    assert said.code == 0
    for text in (
        "until 2028-11-01T00:00:00Z",
        "linux-aarch64",
        "risk 0.5, on 5 samples",
        "ensemble",
        "2 triggers",
    ):
        assert text in said.out


def test_an_encrypted_model_is_not_looked_into_and_not_refused(
    call: Call, tmp_path: Path, forge: Forge
) -> None:
    encryption = {"format": "AES256_GCM_HKDF_1MB", "key": "00" * 8, "plaintext": "5d" * 32}
    files = {**good_files(), "model.onnx": b"\x28" + os.urandom(500)}
    files["edgeguard.json"] = manifest(lambda m: m.update(encryption=encryption))
    folder = write_files(tmp_path / "b", {**files, "model.sig": forge.sign_files(files)})
    values = found(call, folder)
    assert (values["model"], values["manifest"]["encryption"]) == (None, encryption)
    assert "content key 0000000000000000" in call("inspect", folder).out


def test_a_model_of_its_own_is_described(call: Call, folder: Path) -> None:
    values = found(call, folder / "model.onnx")
    assert (values["kind"], values["signature"], values["manifest"]) == ("file", None, None)
    assert values["files"][0]["state"] == "unlisted"
    assert [edge["name"] for edge in values["model"]["inputs"]] == ["image"]


def test_a_third_party_s_bundle_without_a_manifest_is_described(call: Call, folder: Path) -> None:
    (folder / "edgeguard.json").unlink()
    values = found(call, folder, code=4)
    assert set(reasons(values)) == {"file-missing"}
    assert values["model"]["opsets"] == {"": 17}
    (folder / "other.onnx").write_bytes(b"")
    assert found(call, folder, code=4)["model"] is None


def test_a_model_that_nobody_signed_has_a_pin(call: Call, folder: Path) -> None:
    signed = found(call, folder)["pin"]
    (folder / "model.sig").unlink()
    assert found(call, folder, code=4)["pin"] == signed
    (folder / "edgeguard.json").unlink()
    values = found(call, folder, code=4)
    assert len(values["pin"]) == 64
    assert {file["name"] for file in values["files"]} >= {"model.onnx"}


def test_a_folder_that_is_no_bundle_is_not_read(call: Call, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.txt").write_text("x")
    values = found(call, tmp_path / "home", code=4)
    assert (reasons(values), values["files"]) == (["signature-missing", "file-missing"], [])


def test_a_signed_file_shows_who_claims_to_have_signed_it(call: Call, tmp_path: Path, forge: Forge) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\n")
    assert invoke(["sign", str(tmp_path / "x.yaml"), "--key", str(forge.private_path)]) == 0
    values = found(call, tmp_path / "x.yaml")
    assert (values["signature"]["key"], values["files"][0]["state"]) == (forge.key.public().hint, "matches")
    (tmp_path / "x.yaml").write_text("a: 2\n")
    values = found(call, tmp_path / "x.yaml", code=4)
    assert (reasons(values), values["files"][0]["state"]) == (["digest-mismatch"], "changed")


def test_a_file_under_another_s_signature_is_refused(call: Call, folder: Path) -> None:
    (folder / "model.onnx.sig").write_bytes((folder / "model.sig").read_bytes())
    values = found(call, folder / "model.onnx", code=4)
    assert (reasons(values), values["files"][0]["state"]) == (["statement-invalid"], "changed")


def test_what_does_not_match_the_signature_is_named_and_the_rest_is_shown(call: Call, folder: Path) -> None:
    (folder / "CARD.md").write_text("changed")
    (folder / "extra.txt").write_text("more")
    values = found(call, folder, code=4)
    assert {file["name"]: file["state"] for file in values["files"]} == {
        "CARD.md": "changed",
        "edgeguard.json": "matches",
        "extra.txt": "unlisted",
        "model.onnx": "matches",
    }
    assert reasons(values) == ["file-extra", "digest-mismatch"]
    assert values["model"] is not None


def test_refusals_are_named_last(call: Call, folder: Path) -> None:
    (folder / "CARD.md").unlink()
    said = call("inspect", folder)
    assert said.code == 4
    assert "missing" in said.out
    assert {line.split(":")[2] for line in said.err.splitlines()} == {" file-missing"}


def test_an_unsigned_bundle_is_shown_with_the_digest_it_would_have(call: Call, folder: Path) -> None:
    digest = found(call, folder)["digest"]
    (folder / "model.sig").unlink()
    values = found(call, folder, code=4)
    assert (values["digest"], values["signature"], reasons(values)) == (digest, None, ["signature-missing"])
    assert "none that can be read" in call("inspect", folder).out


def _link(folder: Path) -> None:
    (folder / "CARD.md").unlink()
    (folder / "CARD.md").symlink_to("/etc/passwd")


def _unreadable_names(folder: Path) -> None:
    (folder / os.fsdecode(b"bad\xff\x1b[2Jname\n")).write_text("x")


def _files(**files: bytes) -> Callable[[Path], object]:
    return lambda folder: write_files(folder, {name.replace("_", "."): data for name, data in files.items()})


HOSTILE: list[tuple[str, Callable[[Path], object]]] = [
    ("link", _link),
    ("not-a-file", lambda folder: os.mkfifo(folder / "pipe")),
    ("file-extra", _unreadable_names),
    ("signature-malformed", _files(model_sig=b"[" * 100_000)),
    ("signature-malformed", _files(model_sig=b"")),
    ("signature-malformed", _files(model_sig=b"\xff\xfe")),
    ("signature-malformed", _files(model_sig=b'{"mediaType": 1}')),
    ("too-large", _files(model_sig=b" " * (2**20 + 1))),
    ("manifest-invalid", _files(edgeguard_json=b"{" * 100_000)),
    ("manifest-invalid", _files(edgeguard_json=b'{"edgeguard": 1, "edgeguard": 1}')),
    ("manifest-invalid", _files(edgeguard_json=manifest(lambda m: m.update(watermark=7)))),
    ("file-missing", _files(edgeguard_json=manifest(lambda m: m.update(file="x.onnx")))),
    ("file-missing", lambda folder: (folder / "edgeguard.json").unlink()),
    ("file-missing", lambda folder: (folder / "model.onnx").unlink()),
    ("model-invalid", _files(model_onnx=b"")),
    ("model-invalid", _files(model_onnx=b"\x00" * 100)),
    ("pickle", _files(model_onnx=b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00.")),
]


@pytest.mark.parametrize(("reason", "harm"), HOSTILE)
def test_a_hostile_bundle_is_shown_as_far_as_it_can_be_and_refused(
    call: Call, folder: Path, reason: str, harm: Callable[[Path], object]
) -> None:
    harm(folder)
    assert reason in reasons(found(call, folder, code=4))
    said = call("inspect", folder)
    assert said.code == 4
    assert all(line.isprintable() for line in (said.out + said.err).splitlines())
    assert all(line.startswith("error: ") for line in said.err.splitlines())


def test_a_model_that_takes_weights_from_elsewhere_is_refused(call: Call, tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [weights],
    )
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    values = found(call, tmp_path / "m.onnx", code=4)
    assert (reasons(values), values["model"]) == (["external-data"], None)
    assert [file["name"] for file in values["files"]] == ["m.onnx"]


def test_custom_operators_are_named(call: Call, tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Evil", ["x"], ["y"], domain="com.example\x1b[2J")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.example\x1b[2J", 1)]
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph, opset_imports=imports).SerializeToString())
    said = call("inspect", tmp_path / "m.onnx")
    assert said.code == 4
    assert "\x1b" not in said.out + said.err


@pytest.mark.parametrize("path", ["nowhere", "x" * 5000])
def test_what_is_not_there_is_refused_in_one_line(call: Call, path: str) -> None:
    said = call("inspect", path)
    assert (said.code, said.out, said.err.count("\n")) == (4, "", 1)


def test_many_names_are_cut_for_people_and_complete_for_programs(
    call: Call, tmp_path: Path, forge: Forge
) -> None:
    def change(values: Json) -> None:
        values["classes"] = [f"class {i}" for i in range(500)]
        values["outputs"][0]["shape"] = ["N", 500]

    files = {**good_files(), "edgeguard.json": manifest(change)}
    folder = write_files(tmp_path / "b", {**files, "model.sig": forge.sign_files(files)})
    assert "class 39, and 460 more" in " ".join(call("inspect", folder).out.split())
    assert len(found(call, folder, code=4)["manifest"]["classes"]) == 500


def test_an_unsafe_name_is_never_opened(call: Call, tmp_path: Path, forge: Forge) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    files = good_files()
    resources = [resource("../secret", b"x"), *(resource(name, data) for name, data in sorted(files.items()))]
    folder = write_files(tmp_path / "b", {**files, "model.sig": forge.sign(statement_of(resources))})
    values = found(call, folder, code=4)
    assert "name-unsafe" in reasons(values)
    assert "secret" not in [file["name"] for file in values["files"]]
    (folder / "link").symlink_to("CARD.md")
    values = found(call, folder, code=4)
    assert all("secret" not in file["name"] for file in values["files"])


@pytest.mark.parametrize("name", ["model.sig", "edgeguard.json", "model.onnx", "CARD.md"])
def test_any_damage_ends_in_a_refusal_or_none_and_never_in_a_crash(folder: Path, name: str) -> None:
    rng = random.Random(name)
    whole = (folder / name).read_bytes()
    for _ in range(int(os.environ.get("EDGEGUARD_INSPECT_DAMAGES", "150"))):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        (folder / name).write_bytes(bytes(data))
        refused = examine_bundle(folder).refused
        assert refused or bytes(data) == whole or name == "model.sig"


@pytest.fixture
def certified(folder: Path, tmp_path: Path) -> Path:
    """The bundle, signed with a certificate that is valid for a long time; its root is `root.pem` beside it."""
    root = made(authority("root", days=(-9999, 9999)))
    signer = made(Plan(days=(-9999, 9999)), root)
    (tmp_path / "root.pem").write_bytes(root.pem)
    sealed = seal(
        build_statement("bundle", {n: sha256(data) for n, data in good_files().items()}),
        signer.signing,
        [signer.der],
    )
    (folder / "model.sig").write_bytes(sealed)
    return folder


def test_certificates_are_shown_by_subject_identity_and_validity(call: Call, certified: Path) -> None:
    signature = found(call, certified)["signature"]
    assert (signature["kind"], len(signature["certificates"])) == ("certificate", 1)
    certificate = signature["certificates"][0]
    assert (certificate["subject"], certificate["issuer"]) == ("CN=signer", "CN=root")
    assert certificate["identities"] == [WHO]
    assert certificate["not_before"] < "2026-11-01T00:00:00Z" < certificate["not_after"]
    assert f"CN=signer for {WHO}, valid " in call("inspect", certified).out


def test_a_certificate_is_verified_up_to_its_root_and_the_identity_printed(
    call: Call, certified: Path
) -> None:
    root = certified.with_name("root.pem")
    said = call("verify", certified, "--ca", root, "--identity", WHO)
    assert (said.code, f"identity {WHO}" in said.out) == (0, True)
    said = call("verify", certified, "--ca", root, "--identity", "mallory@example.org")
    assert (said.code, "identity-mismatch" in said.err) == (4, True)
    assert json.loads(call("verify", certified, "--ca", root, "--format", "json").out)["identity"] == WHO


def test_a_damaged_certificate_is_refused_and_the_rest_is_shown(call: Call, certified: Path) -> None:
    wrapper = json.loads((certified / "model.sig").read_text())
    entry = wrapper["verificationMaterial"]["x509CertificateChain"]["certificates"][0]
    for raw, reason in (
        ("AAAA", "certificate-malformed"),
        ("?", "signature-malformed"),
        (7, "signature-malformed"),
    ):
        entry["rawBytes"] = raw
        (certified / "model.sig").write_bytes(compact(wrapper))
        values = found(call, certified, code=4)
        assert (reasons(values), values["signature"]) == ([reason], None)
        assert {file["state"] for file in values["files"]} == {"matches"}
    wrapper["verificationMaterial"]["x509CertificateChain"]["certificates"] = []
    (certified / "model.sig").write_bytes(compact(wrapper))
    assert reasons(found(call, certified, code=4)) == ["signature-malformed"]


SIGSTORE = Path(__file__).parents[1] / "admission" / "data" / "sigstore"


def test_a_keyless_signer_is_shown_and_verified(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(SIGSTORE / "v1.1.0-sigstore", folder)
    values = found(call, folder, code=4)  # it has no manifest
    assert values["signature"]["kind"] == "keyless"
    assert values["signature"]["certificates"][0]["identities"] == ["stefanb@us.ibm.com"]
    assert "a certificate of minutes, from Sigstore" in call("inspect", folder).out
    pytest.importorskip("sigstore", reason="the extra `sigstore` is not installed")
    options = ["--keyless", SIGSTORE / "trusted_root.json", "--identity", "stefanb@us.ibm.com"]
    said = call("verify", folder, *options, "--issuer", "https://sigstore.verify.ibm.com/oauth2")
    assert "model.sig" not in said.err
    said = call("verify", folder, *options, "--issuer", "https://example.org")
    assert (said.code, "model.sig: identity-mismatch" in said.err) == (4, True)
