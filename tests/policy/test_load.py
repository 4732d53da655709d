"""A program that may run comes from signed files only; tools at the desk may look at unsigned ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeguard.admission import load_public_keys, new_key, sign_file, trust_keys
from edgeguard.errors import AdmissionError, ContractError, PolicyError, UsageError
from edgeguard.policy import LoadedPolicy, check_policy, compile_draft, load_policy
from edgeguard.terms import Pin

POLICY = """\
edgeguard: 1
policy: {name: door, version: 3}
admission: {signers: [{key: keys/release.pub, sha256: "@PIN@"}]}
calibration: data/../door.calibration.json
signals:
  clarity: {from: context, range: [0, 1], max_age: 100ms}
rules:
  - {id: unsure, when: clarity < calibrated.clarity, then: rules}
envelope: {lock: {min: 0, max: 1, safe: 1}}
"""
CALIBRATION = {
    "edgeguard_calibration": 1,
    "policy": "door",
    "models": {"primary": "ab" * 32},
    "frames": 500,
    "abstain": 0.01,
    "thresholds": {"clarity": 0.9},
    "notes": {"refused": {"clarity": 0.008}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A signed policy with its signed calibration and the key's two halves."""
    (tmp_path / "keys").mkdir()
    new_key(tmp_path / "keys" / "release.key", tmp_path / "keys" / "release.pub")
    pin = load_public_keys([tmp_path / "keys" / "release.pub"])[0].hint
    (tmp_path / "door.yaml").write_text(POLICY.replace("@PIN@", pin))
    (tmp_path / "door.calibration.json").write_text(json.dumps(CALIBRATION))
    for name in ("door.yaml", "door.calibration.json"):
        sign_file(tmp_path / name, tmp_path / "keys" / "release.key")
    return tmp_path


def load(folder: Path) -> object:
    return load_policy(folder / "door.yaml", trust=trust_keys([folder / "keys" / "release.pub"]))


def test_signed_policy_and_calibration_become_a_program(folder: Path) -> None:
    loaded = load_policy(folder / "door.yaml", trust=trust_keys([folder / "keys" / "release.pub"]))
    assert loaded.program.name == "door"
    assert loaded.program.thresholds == {"clarity": 0.9}
    pin = load_public_keys([folder / "keys" / "release.pub"])[0].hint
    assert [term.key for term in loaded.program.admission.signers] == [
        Pin(str(folder / "keys" / "release.pub"), pin)
    ]
    assert loaded.program.calibration == str(folder / "door.calibration.json")
    assert loaded.calibration is not None
    assert loaded.calibration.models == {"primary": "ab" * 32}
    assert len(loaded.policy_digest) == len(loaded.calibration_digest) == len(loaded.policy_signer) == 64


def test_without_a_trusted_key_nothing_is_loaded(folder: Path) -> None:
    with pytest.raises(AdmissionError, match="--trust") as caught:
        load_policy(folder / "door.yaml")
    assert caught.value.exit_code == 4


def test_key_that_only_the_policy_names_does_not_make_it_trusted(folder: Path) -> None:
    new_key(folder / "other.key", folder / "other.pub")
    with pytest.raises(AdmissionError):
        load_policy(folder / "door.yaml", trust=trust_keys([folder / "other.pub"]))


@pytest.mark.parametrize("name", ["door.yaml", "door.calibration.json"])
def test_one_flipped_byte_is_refused_and_the_message_names_the_file(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[20] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(AdmissionError, match=name) as caught:
        load(folder)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("name", ["door.yaml.sig", "door.calibration.json.sig", "door.calibration.json"])
def test_missing_signature_or_calibration_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(AdmissionError, match="door"):
        load(folder)


def test_calibration_signed_by_somebody_else_is_refused(folder: Path) -> None:
    new_key(folder / "other.key", folder / "other.pub")
    (folder / "door.calibration.json.sig").unlink()
    sign_file(folder / "door.calibration.json", folder / "other.key")
    with pytest.raises(AdmissionError):
        load(folder)


def test_signed_file_that_is_no_calibration_is_a_broken_contract(folder: Path) -> None:
    (folder / "door.calibration.json").write_text("{}")
    (folder / "door.calibration.json.sig").unlink()
    sign_file(folder / "door.calibration.json", folder / "keys" / "release.key")
    with pytest.raises(ContractError, match="is missing"):
        load(folder)


def test_policy_without_calibration_needs_none(folder: Path) -> None:
    text = (folder / "door.yaml").read_text().replace("calibration: data/../door.calibration.json\n", "")
    (folder / "door.yaml").write_text(text.replace("calibrated.clarity", "0.5"))
    (folder / "door.yaml.sig").unlink()
    sign_file(folder / "door.yaml", folder / "keys" / "release.key")
    loaded = load_policy(folder / "door.yaml", trust=trust_keys([folder / "keys" / "release.pub"]))
    assert loaded.calibration is None
    assert loaded.calibration_digest == loaded.program.calibration == ""


def test_check_needs_neither_signature_nor_calibration(folder: Path) -> None:
    for name in ("door.yaml.sig", "door.calibration.json"):
        (folder / name).unlink()
    document = check_policy(folder / "door.yaml")
    assert document.policy.policy.version == 3
    assert document.thresholds() == ("clarity",)


def test_draft_is_compiled_without_signatures_and_says_nothing_about_trust(folder: Path) -> None:
    (folder / "door.yaml.sig").unlink()
    draft = compile_draft(folder / "door.yaml")
    assert draft.program.thresholds == {"clarity": 0.9}
    assert not isinstance(draft, LoadedPolicy)


def test_draft_without_its_calibration_file_says_so(folder: Path) -> None:
    (folder / "door.calibration.json").unlink()
    with pytest.raises(UsageError, match="cannot read the calibration"):
        compile_draft(folder / "door.yaml")


def test_missing_policy_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the policy `.*nothing.yaml`: no such file"):
        check_policy(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError):
        check_policy(tmp_path)


def test_bad_policy_is_named_with_its_path(folder: Path) -> None:
    (folder / "door.yaml").write_text(POLICY.replace("then: rules", "then: ruls"))
    with pytest.raises(
        PolicyError, match=r"door.yaml:8:60: EG1107: `ruls` is not allowed here \(did you mean `rules`"
    ):
        check_policy(folder / "door.yaml")


def test_another_key_in_the_file_that_the_policy_pins_is_refused(folder: Path) -> None:
    keys = folder / "keys"
    trusted = trust_keys([keys / "release.pub"])
    new_key(keys / "theirs.key", keys / "theirs.pub")
    (keys / "release.pub").write_bytes((keys / "theirs.pub").read_bytes())
    (folder / "door.calibration.json.sig").unlink()
    sign_file(folder / "door.calibration.json", keys / "theirs.key")
    with pytest.raises(AdmissionError, match="not the key that the policy pins") as caught:
        load_policy(folder / "door.yaml", trust=trusted)
    assert (caught.value.reason, caught.value.path) == ("unknown-signer", str(keys / "release.pub"))
