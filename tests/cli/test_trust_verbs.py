"""keys, sign, verify: what a release engineer does, and every refusal with the file's name and exit code 4."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_new_key_pair_is_two_files_and_the_private_half_is_its_owner_s(call: Call, tmp_path: Path) -> None:
    said = call("keys", "new", tmp_path / "deep" / "release")
    assert said.code == 0
    private, public = tmp_path / "deep" / "release.key", tmp_path / "deep" / "release.pub"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert "PUBLIC KEY" in public.read_text()
    assert "PRIVATE" not in said.out


def test_both_halves_can_be_named(call: Call, tmp_path: Path) -> None:
    assert call("keys", "new", tmp_path / "a.key", tmp_path / "b.pub").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.key", "b.pub"]


def test_a_key_is_never_overwritten(call: Call, tmp_path: Path) -> None:
    call("keys", "new", tmp_path / "a")
    before = (tmp_path / "a.key").read_bytes()
    said = call("keys", "new", tmp_path / "a")
    assert (said.code, (tmp_path / "a.key").read_bytes()) == (2, before)


def test_a_signed_bundle_is_admitted_and_its_digest_printed(call: Call, project: Any) -> None:
    said = call("verify", project.bundle, "--trust", project.pub)
    assert said.code == 0
    assert "admitted: colours-primary 1.0.0 (primary)" in said.out
    as_json = json.loads(call("verify", project.bundle, "--trust", project.pub, "--format", "json").out)
    assert as_json["role"] == "primary"
    assert f"digest {as_json['digest']}" in said.out


def test_a_signed_file_is_admitted(call: Call, project: Any) -> None:
    said = call("verify", project.policy, "--trust", project.pub)
    assert said.code == 0
    assert "admitted: file" in said.out


def test_the_trusted_keys_may_come_from_the_environment(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEGUARD_TRUST", f"{project.pub}:")
    assert call("verify", project.bundle).code == 0


def test_verifying_without_a_key_is_a_wrong_call(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_TRUST", raising=False)
    said = call("verify", project.bundle)
    assert said.code == 2
    assert "`--trust KEY.pub`" in said.err


@pytest.mark.parametrize("name", ["model.onnx", "edgeguard.json", "CARD.md", "model.sig"])
def test_one_flipped_byte_in_any_bundle_file_is_refused_by_name(call: Call, project: Any, name: str) -> None:
    path = project.bundle / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    said = call("verify", project.bundle, "--trust", project.pub)
    assert said.code == 4
    assert name in said.err
    assert said.err.count("\n") == 1


def test_an_unsigned_file_and_an_unknown_signer_are_refused(call: Call, project: Any, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: 1\n")
    assert call("verify", tmp_path / "x.yaml", "--trust", project.pub).code == 4
    call("keys", "new", tmp_path / "other")
    said = call("verify", project.bundle, "--trust", tmp_path / "other.pub")
    assert (said.code, "unknown-signer" in said.err) == (4, True)


def test_a_bundle_below_the_floor_is_refused(call: Call, project: Any) -> None:
    said = call("verify", project.bundle, "--trust", project.pub, "--security-version", 2)
    assert said.code == 4


def test_signing_names_the_signature_it_wrote(call: Call, project: Any) -> None:
    assert (
        call("sign", project.bundle, "--key", project.key).out == f"{project.bundle / 'model.sig'}: signed\n"
    )
    assert call("sign", project.policy, "--key", project.key).out == f"{project.policy}.sig: signed\n"


def test_a_dated_model_for_a_device_without_a_clock_is_calibrated_at_a_desk_with_one(
    call: Call, project: Any
) -> None:
    manifest = project.bundle / "edgeguard.json"
    values = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**values, "not_after": "2099-01-01T00:00:00Z"}))
    assert call("sign", project.bundle, "--key", project.key).code == 0
    project.change_policy("  require: {", "  clock: none\n  require: {")
    said = call("calibrate", project.policy, "--data", project.pictures, "--key", project.key)
    assert said.code == 0, said.err
    said = call(*project.run("--trust", project.pub))
    assert said.code == 4
    assert "clock-wrong: it is dated" in said.err
