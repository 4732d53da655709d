"""policy check, policy table, calibrate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_good_policy_is_valid_without_any_signature(call: Call, project: Any) -> None:
    Path(f"{project.policy}.sig").unlink()
    said = call("policy", "check", project.policy)
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{project.policy}: valid: colours version 1: 4 rules on 4 signals, 1 actuator\n"


def test_a_good_policy_as_json(call: Call, project: Any) -> None:
    facts = json.loads(call("policy", "check", project.policy, "--format", "json").out)
    assert facts["valid"] is True
    assert facts["thresholds"] == ["certainty", "squeezing"]


def test_a_bad_policy_exits_3_with_line_and_column(call: Call, project: Any) -> None:
    text = project.policy.read_text().replace("when: certainty <", "when: certainti <", 1)
    project.policy.write_text(text)
    line = 1 + next(i for i, row in enumerate(text.splitlines()) if "certainti" in row)
    said = call("policy", "check", project.policy)
    assert said.code == 3
    assert f"error: {project.policy}:{line}:" in said.err
    assert said.out == ""


def test_a_bad_policy_as_json_has_every_finding(call: Call, project: Any) -> None:
    project.policy.write_text(project.policy.read_text().replace("then: rules", "then: ruels"))
    said = call("policy", "check", project.policy, "--format", "json")
    found = json.loads(said.out)
    assert (said.code, found["valid"], said.err) == (3, False, "")
    assert len(found["diagnostics"]) == 4
    assert set(found["diagnostics"][0]) == {
        "code", "severity", "message", "file", "line", "column", "hint",
    }  # fmt: skip


def test_a_missing_policy_is_a_wrong_call(call: Call, tmp_path: Path) -> None:
    said = call("policy", "check", tmp_path / "x.yaml")
    assert (said.code, "cannot read the policy" in said.err) == (2, True)


def test_the_table_is_written_and_is_the_same_every_time(call: Call, project: Any, tmp_path: Path) -> None:
    for name in ("a.h", "b.h"):
        assert call("policy", "table", project.policy, "-o", tmp_path / name).code == 0
    assert (tmp_path / "a.h").read_bytes() == (tmp_path / "b.h").read_bytes()
    assert "use_answer" in (tmp_path / "a.h").read_text()


def test_a_table_that_cannot_be_written_is_a_clear_message(call: Call, project: Any, tmp_path: Path) -> None:
    said = call("policy", "table", project.policy, "--output", tmp_path / "no" / "a.h")
    assert (said.code, "cannot write" in said.err) == (2, True)


def test_policy_that_the_microcontroller_cannot_hold_is_named_by_its_file(call: Call, project: Any) -> None:
    text = project.policy.read_text()
    project.policy.write_text(text.replace("use_answer: {min: 0, max: 1,", "use_answer: {min: 0, max: 5000,"))
    said = call("policy", "table", project.policy, "-o", project.policy.with_name("a.h"))
    assert (said.code, f"{project.policy}:1:1: EG1304: `use_answer`: min, max" in said.err) == (3, True)


def test_calibrating_writes_signed_thresholds_where_the_policy_looks(call: Call, project: Any) -> None:
    target = project.policy.with_name("calibration.json")
    target.unlink()
    said = call(
        "calibrate", project.policy, "--data", project.pictures, "--key", project.key, "--abstain", 0.1
    )
    assert said.code == 0
    assert "stated: at most 10.00% of clean frames; thresholds from 250 of them" in said.out
    assert set(json.loads(target.read_text())["thresholds"]) == {"certainty", "squeezing"}
    assert call("verify", target, "--trust", project.pub).code == 0


def test_a_calibration_can_go_elsewhere(call: Call, project: Any, tmp_path: Path) -> None:
    there = tmp_path / "c.json"
    args = ["calibrate", project.policy, "--data", project.pictures, "--key", project.key]
    assert call(*args, "-o", there).code == 0
    assert there.exists()
    assert call(*args, "-o", tmp_path / "no" / "c.json").code == 2


def test_a_wrong_key_is_told_before_a_calibration_is_written_over(call: Call, project: Any) -> None:
    file = project.policy.parent / "calibration.json"
    before = file.read_bytes()
    said = call(
        "calibrate",
        project.policy,
        "--data",
        project.pictures,
        "--key",
        project.root / "no.key",
        "--abstain",
        0.3,
    )
    assert (said.code, said.out) == (2, "")
    assert "no.key" in said.err
    assert file.read_bytes() == before


def test_too_few_pictures_for_the_share_say_how_many_are_needed(call: Call, project: Any) -> None:
    said = call(
        "calibrate", project.policy, "--data", project.pictures, "--key", project.key, "--abstain", 0.001
    )
    assert (said.code, "too few" in said.err) == (2, True)


def test_an_altered_model_is_not_calibrated(call: Call, project: Any) -> None:
    (project.bundle / "CARD.md").write_text("other")
    said = call("calibrate", project.policy, "--data", project.pictures, "--key", project.key)
    assert (said.code, "CARD.md" in said.err) == (4, True)


PLAIN = """\
edgeguard: 1
policy: {name: plain, version: 1}
signals:
  speed: {from: context, unit: m/s, range: [0, 60], max_age: 200ms}
rules:
  - {id: fast, when: speed > 5, then: safe_state}
envelope:
  brake: {min: 0, max: 1, safe: 1}
"""


@pytest.mark.parametrize("more", [[], ["-o", "c.json"]])
def test_a_policy_without_models_or_calibration_has_nothing_to_calibrate(
    call: Call, project: Any, tmp_path: Path, more: list[str]
) -> None:
    policy = tmp_path / "plain.yaml"
    policy.write_text(PLAIN)
    said = call("calibrate", policy, "--data", project.pictures, "--key", project.key, *more)
    assert said.code == 2
    assert "names no" in said.err
