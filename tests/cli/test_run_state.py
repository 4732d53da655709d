"""run --state and rollback: the last good policy runs when an update is refused, and nothing older than ever ran."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture
def state(call: Call, project: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device's state folder, made as a person makes it."""
    folder: Path = project.root / "state"
    assert call("floor", "new", folder).code == 0
    monkeypatch.setenv("EDGEGUARD_STATE", str(folder))
    monkeypatch.setenv("EDGEGUARD_TRUST", str(project.pub))
    return folder


def run(call: Call, project: Any, *more: object) -> Any:
    return call(*project.run("--seconds", 0.3, *more))


def update(project: Any, version: int, security_version: int = 1) -> None:
    text = project.policy.read_text()
    head = next(line for line in text.splitlines() if line.startswith("policy: "))
    project.change_policy(
        head, f"policy: {{name: colours, version: {version}, security_version: {security_version}}}"
    )


def test_a_state_folder_that_nobody_made_is_refused(call: Call, project: Any, tmp_path: Path) -> None:
    said = run(call, project, "--state", tmp_path / "none")
    assert said.code == 4
    assert "floor-missing" in said.err


def test_the_last_good_policy_runs_when_an_update_is_refused(call: Call, project: Any, state: Path) -> None:
    assert run(call, project).code == 0
    update(project, 2)
    project.policy.write_text(project.policy.read_text() + "# changed after it was signed\n")
    log = project.root / "run.log"
    said = run(call, project, "--log", log)
    assert said.code == 0, said.err
    assert "refused: the offered policy: " in said.err
    assert "warning: runs generation 1, the last good one: policy `colours` version 1" in said.err
    checked = call("log", "verify", log)
    assert f"refused: the offered policy: {project.policy}: digest-mismatch" in checked.out
    told = call("explain", log, "--changes").out.splitlines()
    assert told[0] == "run 1: colours version 1"
    assert told[1].startswith(f"  before it, refused: the offered policy: {project.policy}: digest-mismatch")
    assert json.loads(call("log", "verify", log, "--format", "json").out)["refused"][0].startswith(
        "the offered policy: "
    )


def test_a_link_that_leads_to_itself_is_a_refusal_like_any_other(
    call: Call, project: Any, state: Path
) -> None:
    assert run(call, project).code == 0
    loop = project.root / "loop"
    loop.symlink_to(loop)
    offered = [loop / project.policy.name if word == project.policy else word for word in project.run()]
    said = call(*offered, "--seconds", 0.3)
    assert said.code == 0, said.err
    assert "refused: the offered policy: " in said.err
    assert ": link: " in said.err


def test_what_was_admitted_is_told_with_the_digests_that_verify_prints(
    call: Call, project: Any, state: Path
) -> None:
    said = run(call, project, "--log", project.root / "run.log")
    for path, place in ((project.bundle, "primary"), (project.policy, "policy")):
        digest = json.loads(call("verify", path, "--format", "json").out)["digest"]
        assert f"admitted {place} {digest}\n" in said.out
        assert f'"{place}":"{digest}"' in (project.root / "run.log").read_text().splitlines()[0]


def test_without_a_state_folder_a_refusal_is_the_end(
    call: Call, project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEGUARD_STATE", raising=False)
    (project.bundle / "model.onnx").write_bytes(b"x")
    said = run(call, project)
    assert said.code == 4
    assert "digest-mismatch" in said.err


def test_an_older_policy_is_refused_where_a_newer_one_ran(call: Call, project: Any, state: Path) -> None:
    old = project.policy.read_text()
    update(project, 3, 3)
    assert run(call, project).code == 0
    project.policy.write_text(old)
    assert call("sign", project.policy, "--key", project.key).code == 0
    said = run(call, project)
    assert said.code == 0
    assert ": rollback: its security version is 1, this device ran 3 already" in said.err


def test_rolling_back_runs_the_one_before_until_a_newer_one_is_offered(
    call: Call, project: Any, state: Path
) -> None:
    for version in (1, 2):
        update(project, version)
        assert run(call, project).code == 0
    said = call("rollback")
    assert (said.code, said.out) == (0, "the next start runs generation 1: policy `colours` version 1\n")
    assert "generation 2: policy `colours` version 2, withdrawn" in call("rollback", "--list").out
    said = run(call, project)
    assert "runs generation 1" in said.err
    update(project, 3)
    assert "generation" not in run(call, project).err
    listed = json.loads(call("rollback", "--list", "--format", "json").out)
    assert [(row["generation"], row["withdrawn"]) for row in listed] == [(3, False), (2, True), (1, False)]
    assert call("rollback", "--to", 1).code == 0
    assert call("rollback", "--undo").code == 0
    assert not any(row["withdrawn"] for row in json.loads(call("rollback", "--list", "--format", "json").out))


def test_nobody_rolls_back_below_what_the_device_remembers(call: Call, project: Any, state: Path) -> None:
    update(project, 1, 1)
    assert run(call, project).code == 0
    update(project, 2, 2)
    assert run(call, project).code == 0
    said = call("rollback")
    assert said.code == 4
    assert "rollback: its security version is 1, this device ran 2 already" in said.err
    assert "runs" not in run(call, project).err


def test_rolling_back_asks_for_what_there_is(
    call: Call, project: Any, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no generation is kept yet" in call("rollback", "--list").out
    assert call("rollback").code == 2
    assert run(call, project).code == 0
    assert "there is no earlier generation" in call("rollback").err
    assert "generation 7 is not kept" in call("rollback", "--to", 7).err
    assert json.loads(call("rollback", "--to", 1, "--format", "json").out)["generation"] == 1
    assert call("rollback", state, "--list").out == call("rollback", "--list").out
    monkeypatch.delenv("EDGEGUARD_STATE")
    said = call("rollback")
    assert (said.code, said.err) == (2, "error: no state folder: name it, or set `EDGEGUARD_STATE`\n")


def test_a_policy_that_asks_for_a_better_memory_is_refused(call: Call, project: Any, state: Path) -> None:
    project.change_policy("require: {security_version: 1}", "require: {security_version: 1, floor: tpm}")
    said = run(call, project)
    assert said.code == 4
    assert "floor-weak" in said.err


def test_rolling_back_passes_over_what_the_device_would_refuse(call: Call, project: Any, state: Path) -> None:
    for version, security_version in ((1, 1), (2, 2), (3, 2)):
        update(project, version, security_version)
        assert run(call, project).code == 0
    assert "runs generation 2" in call("rollback").out
    said = call("rollback")
    assert said.code == 4
    assert said.err.startswith("error: generation 1, policy `colours` version 1: rollback: ")
    assert "objects" not in said.err


def test_a_new_calibration_keeps_the_security_version_of_the_one_it_replaces(
    call: Call, project: Any
) -> None:
    file = project.root / "guard" / "calibration.json"
    args = ("calibrate", project.policy, "--data", project.pictures, "--key", project.key)
    assert "security_version" not in json.loads(file.read_text())
    assert call(*args, "--security-version", 4).code == 0
    assert json.loads(file.read_text())["security_version"] == 4
    assert call(*args).code == 0
    assert json.loads(file.read_text())["security_version"] == 4
