"""verify: what it prints of what it admits, whom it believes, and that it holds to a policy what the guard would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeguard.cli.app import invoke
from edgeguard.log import read_log

Call = Callable[..., Any]
KEYS = {
    "path", "admitted", "kind", "digest", "signer", "identity", "name", "version", "security_version", "role",
    "not_before", "not_after", "target", "assessment", "calibration", "training", "watermark", "encryption",
    "parent", "engine", "parts",
}  # fmt: skip
CLAIMS = {
    "security_version": 2,
    "not_before": "2020-01-01T00:00:00Z",
    "not_after": "2120-01-01T00:00:00Z",
    "target": ["linux-aarch64", "linux-x86_64"],
    "assessment": {"report": "assessment.json", "samples": 500, "clean_accuracy": 0.99, "risk": 0.008},
    "calibration": {"report": "assessment.json", "frames": 200},
    "training": {"adversarial": True, "differential_privacy": {"epsilon": 8, "delta": 1e-5}},
    "watermark": {"triggers": "5d" * 32, "count": 100},
}


def state(project: Any, **claims: object) -> None:
    """Change the bundle's manifest, with a report, and sign it."""
    path = project.bundle / "edgeguard.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | claims))
    (project.bundle / "assessment.json").write_text('{"samples": 500}')
    assert invoke(["sign", str(project.bundle), "--key", str(project.key)]) == 0


def values(call: Call, *args: object) -> Any:
    said = call("verify", *args, "--format", "json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_a_plain_bundle_says_what_it_does_not_state(call: Call, project: Any) -> None:
    lines = call("verify", project.bundle, "--trust", project.pub).out.splitlines()
    assert lines[0] == f"{project.bundle}: admitted: colours-primary 1.0.0 (primary)"
    assert [line.split()[0] for line in lines[1:3]] == ["digest", "signer"]
    assert lines[3:] == ["security_version 1", "valid at any time", "target any", "attestations none"]


def test_everything_that_is_stated_is_printed(call: Call, project: Any) -> None:
    state(project, **CLAIMS)
    assert call("verify", project.bundle, "--trust", project.pub).out.splitlines()[3:] == [
        "security_version 2",
        "valid from 2020-01-01T00:00:00Z until 2120-01-01T00:00:00Z",
        "target linux-aarch64, linux-x86_64",
        "assessment clean_accuracy 0.99, risk 0.008, on 500 samples (assessment.json)",
        "calibration on 200 frames (assessment.json)",
        "training adversarial, differential_privacy epsilon 8 delta 1e-05",
        f"watermark 100 triggers, {'5d' * 32}",
    ]


def test_the_keys_of_the_json_answer_are_the_same_for_every_bundle(call: Call, project: Any) -> None:
    plain = values(call, project.bundle, "--trust", project.pub)
    state(project, **CLAIMS)
    full = values(call, project.bundle, "--trust", project.pub)
    assert set(plain) == set(full) == KEYS
    assert (plain["kind"], plain["admitted"], plain["identity"]) == ("bundle", True, "")
    assert {plain[key] for key in ("not_before", "assessment", "training", "parent", "engine")} == {None}
    assert {
        key: full[key] for key in ("security_version", "not_before", "not_after", "target", "watermark")
    } == {key: CLAIMS[key] for key in ("security_version", "not_before", "not_after", "target", "watermark")}
    assert full["training"]["differential_privacy"] == {"epsilon": 8.0, "delta": 1e-05}


def test_a_file_has_a_digest_and_a_signer(call: Call, project: Any) -> None:
    found = values(call, project.policy, "--trust", project.pub, "--role", "policy")
    assert set(found) == {"path", "admitted", "kind", "digest", "signer", "identity"}
    assert found["kind"] == "file"


@pytest.mark.process
def test_verify_the_log_s_header_and_every_verdict_name_the_same_digests(
    call: Call, project: Any, tmp_path: Path
) -> None:
    log = tmp_path / "run.log"
    assert call(*project.run("--seconds", 0.5, "--log", log)).code == 0
    calibration = project.policy.with_name("calibration.json")
    expected = {
        role: values(call, path, "--trust", project.pub)["digest"]
        for role, path in (
            ("primary", project.bundle),
            ("policy", project.policy),
            ("calibration", calibration),
        )
    }
    assert json.loads(log.read_text().splitlines()[0])["digests"] == expected
    verdicts = [entry.verdict for entry in read_log(log)]
    assert len(verdicts) > 2
    assert {tuple(sorted(v.digests.items())) for v in verdicts} == {tuple(sorted(expected.items()))}
    answers = {verdict.answer.digest for verdict in verdicts if verdict.answer is not None}
    assert answers == {expected["primary"]}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"not_after": "2020-01-01T00:00:00Z"}, "expired"),
        ({"not_before": "2120-01-01T00:00:00Z"}, "not-yet-valid"),
    ],
)
def test_a_bundle_out_of_its_time_is_refused(
    call: Call, project: Any, claims: dict[str, object], reason: str
) -> None:
    state(project, **claims)
    said = call("verify", project.bundle, "--trust", project.pub)
    assert (said.code, said.out) == (4, "")
    assert f"edgeguard.json: {reason}: it may run" in said.err


def test_a_bundle_must_have_the_role_it_is_held_to(call: Call, project: Any) -> None:
    assert call("verify", project.bundle, "--trust", project.pub, "--role", "primary").code == 0
    said = call("verify", project.bundle, "--trust", project.pub, "--role", "filter")
    assert (said.code, "wrong-role" in said.err) == (4, True)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--identity", "x"], "`--identity` is held against a certificate"),
        (["--issuer", "x"], "`--issuer` goes with `--keyless`"),
        (["--keyless", "x.json", "--identity", "x"], "`--keyless` needs `--identity` and `--issuer`"),
        (["--keyless", "x.json", "--identity", "x", "--issuer", "y"], "x.json"),
        (["--ca", "nowhere.pem"], "nowhere.pem"),
        (["--post-quantum", "nowhere.pub"], "nowhere.pub"),
        (["--role", "boss"], "`--role boss`: without a policy it is one of primary"),
        (["--role", "policy"], "is a folder: `--role policy` is for a file"),
        (["--policy", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_options_that_mean_nothing_are_a_wrong_call(
    call: Call, project: Any, args: list[str], words: str
) -> None:
    said = call("verify", project.bundle, "--trust", project.pub, *args)
    assert said.code in (2, 4)
    assert words in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_a_file_is_of_a_kind_that_files_have(call: Call, project: Any) -> None:
    said = call("verify", project.policy, "--trust", project.pub, "--role", "primary")
    assert (said.code, "one of calibration, manifest, policy" in said.err) == (2, True)


@pytest.mark.parametrize("name", ["no such folder", "x" * 5000])
def test_what_is_not_there_is_refused_in_one_line(call: Call, project: Any, name: str) -> None:
    said = call("verify", name, "--trust", project.pub)
    assert (said.code, said.err.count("\n")) == (4, 1)


def test_a_bundle_is_held_to_a_policy_s_demands(call: Call, project: Any) -> None:
    held = ["verify", project.bundle, "--trust", project.pub, "--policy", project.policy]
    assert call(*held).code == 0
    assert call(*held, "--role", "primary").code == 0
    project.change_policy(
        "require: {security_version: 1}", "require: {security_version: 2, calibration: attested}"
    )
    said = call(*held)
    assert (said.code, "is 1, at least 2 is required" in said.err) == (4, True)
    state(project, security_version=2)
    assert "attestation-missing: it does not state `calibration`" in call(*held).err
    state(project, **CLAIMS)
    assert call(*held).code == 0
    assert "is 2, at least 3 is required" in call(*held, "--security-version", 3).err


def test_a_bundle_is_held_to_the_signers_of_the_policy_and_the_policy_to_the_trusted_ones(
    call: Call, project: Any, tmp_path: Path
) -> None:
    assert call("keys", "new", tmp_path / "other").code == 0
    other = tmp_path / "other.pub"
    said = call("verify", project.bundle, "--trust", other, "--policy", project.policy)
    assert (said.code, "policy.yaml.sig: unknown-signer" in said.err) == (4, True)
    assert call("sign", project.bundle, "--key", tmp_path / "other.key").code == 0
    held = ["--trust", project.pub, "--trust", other, "--policy", project.policy]
    assert "model.sig: unknown-signer" in call("verify", project.bundle, *held).err


def test_a_bundle_that_a_policy_pins_needs_no_signer(call: Call, project: Any) -> None:
    pin = json.loads(call("inspect", project.bundle, "--format", "json").out)["pin"]
    project.change_policy("bundle: models/primary", f'bundle: models/primary, pin: "{pin}"')
    (project.bundle / "model.sig").unlink()
    held = ["verify", project.bundle, "--trust", project.pub, "--policy", project.policy]
    assert "signer none: the policy pins it" in call(*held).out
    (project.bundle / "CARD.md").write_text("other")
    assert "pin-mismatch" in call(*held).err


def test_a_place_that_the_policy_does_not_have_is_a_wrong_call(call: Call, project: Any) -> None:
    said = call(
        "verify", project.bundle, "--trust", project.pub, "--policy", project.policy, "--role", "filter"
    )
    assert (said.code, "has no model `filter`: name one with `--role`: primary" in said.err) == (2, True)


def test_a_calibration_is_held_to_the_policy_s_signers(call: Call, project: Any) -> None:
    calibration = project.policy.with_name("calibration.json")
    held = ["verify", calibration, "--trust", project.pub, "--policy", project.policy]
    assert call(*held, "--role", "calibration").code == 0
    said = call(*held)
    assert (said.code, "say what kind of file with `--role`" in said.err) == (2, True)


def test_a_second_signature_is_asked_for_by_naming_its_key(call: Call, project: Any, tmp_path: Path) -> None:
    second = tmp_path / "second"
    if call("keys", "new", second, "--post-quantum").code != 0:
        pytest.skip("this build of cryptography has no ML-DSA")
    public = next(path for path in tmp_path.iterdir() if path.suffix == ".pub")
    private = public.with_suffix(".key")
    asked = ["verify", project.bundle, "--trust", project.pub, "--post-quantum", public]
    assert "model.sig.ml-dsa-65: post-quantum-missing" in call(*asked).err
    assert call("sign", project.bundle, "--key", project.key, "--second", private).code == 0
    assert call(*asked).code == 0


def test_an_encrypted_bundle_is_verified_with_its_content_key_only(
    call: Call, project: Any, tmp_path: Path
) -> None:
    key, sealed = tmp_path / "content.key", tmp_path / "sealed"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    assert call("encrypt", project.bundle, "--key", key, "--out", sealed).code == 0
    signed = call("sign", sealed, "--key", project.key, "--decrypt", key)
    assert signed.code == 0, signed.err
    asked = ["verify", sealed, "--trust", project.pub]
    refused = call(*asked)
    assert (refused.code, "model.onnx: key-missing" in refused.err) == (4, True)
    said = call(*asked, "--decrypt", key)
    assert said.code == 0, said.err
    assert "encryption AES256_GCM_HKDF_1MB, content key " in said.out
