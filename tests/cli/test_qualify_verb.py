"""qualify, calibrate with a qualification, policy check: a correlated pair is refused everywhere, a good one runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard import ContractError, Frame, Guard, load_policy, trust_keys
from edgeguard.admission import AdmittedModel
from edgeguard.build.bundle import manifest_json
from edgeguard.cli.app import invoke
from tests.calibrate.conftest import BOTTOM, TOP, halves, tiny

__all__ = ["halves", "tiny"]

Call = Callable[..., Any]

POLICY = """\
edgeguard: 1
policy: {name: pair, version: 1}
models:
  primary: {bundle: primary}
  redundant: {bundle: redundant}
admission:
  signers: [{key: release.pub, sha256: "@SHA256@"}]
calibration: calibration.json
frame: {period: 50ms}
signals:
  certainty: {of: primary, range: [0, 1], max_age: 500ms}
  disagreement: {of: [primary, redundant], range: [0, 1], max_age: 500ms}
qualification:
  redundant: {accuracy_loss: 20%, common_mode: 0.6}
rules:
  - id: split
    when: disagreement > calibrated.disagreement
    clear: {when: disagreement < calibrated.disagreement * 0.5, for: 2 frames}
    then: safe_state
envelope: {brake: {min: 0, max: 1, safe: 1}}
period: 20ms
"""


def write_bundle(folder: Path, model: AdmittedModel, key: Path) -> None:
    """A signed bundle of an admitted model made in memory."""
    folder.mkdir(exist_ok=True)
    (folder / "edgeguard.json").write_bytes(manifest_json(model.manifest))
    (folder / "model.onnx").write_bytes(model.model)
    assert invoke(["sign", str(folder), "--key", str(key)]) == 0


@dataclasses.dataclass(frozen=True)
class Pair:
    """A policy with a primary and a redundant model, and pictures with labels."""

    root: Path
    halves: Any

    @property
    def policy(self) -> Path:
        return self.root / "policy.yaml"

    @property
    def key(self) -> Path:
        return self.root / "release.key"

    def take(self, role: str, model: AdmittedModel) -> None:
        """Another model for a role."""
        write_bundle(self.root / role, model, self.key)

    def change(self, old: str, new: str) -> None:
        text = self.policy.read_text()
        assert old in text
        self.policy.write_text(text.replace(old, new))

    def calibrate(self, *more: object) -> list[object]:
        data = self.root / "data.npz"
        return ["calibrate", self.policy, "--data", data, "--key", self.key, "--abstain", 0.3, *more]

    def qualify(self, *more: object) -> list[object]:
        return ["qualify", self.policy, "--data", self.root / "data.npz", *more]


@pytest.fixture
def pair(call: Call, halves: Any, tmp_path: Path) -> Pair:
    """A pair that looks at different halves of the picture."""
    assert call("keys", "new", tmp_path / "release").code == 0
    shown = call("keys", "show", tmp_path / "release.pub").out
    (tmp_path / "policy.yaml").write_text(POLICY.replace("@SHA256@", shown.split('sha256: "')[1][:64]))
    images = halves.pictures(330)
    numbers = np.array([halves.tiny.classes.index(label) for label in images.labels])
    np.savez(tmp_path / "data.npz", images=np.stack(list(images.images())), labels=numbers)
    made = Pair(tmp_path, halves)
    made.take("primary", halves.model(TOP, "primary"))
    made.take("redundant", halves.model(BOTTOM))
    return made


def test_a_pair_that_fails_apart_is_calibrated_signed_and_checked(call: Call, pair: Pair) -> None:
    said = call(*pair.calibrate("--no-stress"))
    assert (said.code, said.err) == (0, "")
    assert "redundant  primary  clean" in said.out
    assert call("verify", pair.root / "calibration.json", "--trust", pair.root / "release.pub").code == 0
    held = json.loads((pair.root / "calibration.json").read_text())["qualification"]
    assert held["models"] == json.loads((pair.root / "calibration.json").read_text())["models"]
    assert {row["set"] for row in held["common"]} == {"clean"}
    assert call("policy", "check", pair.policy).code == 0
    assert call("sign", pair.policy, "--key", pair.key).code == 0
    policy = load_policy(pair.policy, trust=trust_keys([pair.root / "release.pub"]))
    guard = Guard.open(policy)
    guard.step(None, {}, 0.0)
    image = next(iter(pair.halves.pictures(1).images()))
    assert guard.step(Frame(image, 1, 0.02), {}, 0.02).answer is not None
    guard.close()
    pair.take("redundant", pair.halves.model(BOTTOM, gain=2.0))
    with pytest.raises(ContractError, match="as redundant"):
        Guard.open(policy)


def test_a_pair_that_fails_together_is_not_calibrated(call: Call, pair: Pair) -> None:
    pair.take("redundant", pair.halves.model(TOP, gain=2.0))
    said = call(*pair.calibrate("--no-stress"))
    assert said.code == 3
    assert "EG1324: `redundant` shares 11 of 11 failures of `primary` (clean pictures)" in said.err
    assert "nothing was written" in said.err
    assert not (pair.root / "calibration.json").exists()


def test_a_policy_that_asks_for_more_than_was_measured_is_refused_by_check_and_guard(
    call: Call, pair: Pair
) -> None:
    assert call(*pair.calibrate("--no-stress")).code == 0
    pair.change("common_mode: 0.6", "common_mode: 0.1")
    said = call("policy", "check", pair.policy)
    assert (said.code, "EG1324" in said.err) == (3, True)
    assert call("sign", pair.policy, "--key", pair.key).code == 0
    run = [
        "run",
        "--policy",
        pair.policy,
        "--trust",
        pair.root / "release.pub",
        "--source",
        pair.root,
        "--headless",
    ]
    said = call(*run)
    assert (said.code, "EG1324" in said.err) == (3, True)


def test_a_filter_that_costs_too_many_right_answers_is_refused(call: Call, pair: Pair) -> None:
    pair.take("filter", pair.halves.dimming(TOP))
    pair.change("admission:", "filter: {bundle: filter}\nadmission:")
    pair.change("qualification:\n", "qualification:\n  filter: {accuracy_loss: 0.5%}\n")
    said = call(*pair.calibrate())
    assert said.code == 3
    assert "`filter` may cost" in said.err
    pair.take("filter", pair.halves.dimming(range(0)))
    pair.change("0.5%", "5%")
    assert call(*pair.calibrate("--no-stress")).code == 0


def test_qualify_says_the_same_without_a_key_and_ends_with_5_where_it_is_not_borne_out(
    call: Call, pair: Pair
) -> None:
    said = call(*pair.qualify("--no-stress"))
    assert (said.code, said.err) == (0, "")
    assert not (pair.root / "calibration.json").exists()
    assert "110" in said.out
    assert "330" in call(*pair.qualify("--all", "--no-stress")).out
    pair.take("redundant", pair.halves.model(TOP, gain=2.0))
    said = call(*pair.qualify())
    assert said.code == 5
    assert "error: " in said.err
    assert "EG1324" in said.err


def test_the_report_is_written_as_markdown(call: Call, pair: Pair) -> None:
    report = pair.root / "report.md"
    assert call(*pair.qualify("--report", report, "--no-stress")).code == 0
    assert "## Common mode" in report.read_text()
    assert "## Thresholds" not in report.read_text()
    assert call(*pair.calibrate("--report", report, "--no-stress")).code == 0
    assert "## Thresholds" in report.read_text()
    assert call(*pair.qualify("--report", pair.root / "no" / "r.md", "--no-stress")).code == 2


def test_further_models_alternates_and_schedules_are_calibrated(call: Call, pair: Pair) -> None:
    pair.take("third", pair.halves.model(BOTTOM, gain=2.0))
    pair.take("other", pair.halves.quantised(TOP))
    pair.change(
        "primary: {bundle: primary}",
        "primary: {bundle: primary, alternates: [other], switch: {every: 20 frames}}",
    )
    pair.change("redundant: {bundle: redundant}", "redundant: {bundle: redundant}\n  third: {bundle: third}")
    pair.change(
        "signals:\n",
        "schedule:\n  doubt3: {every: 3 frames}\nsignals:\n"
        "  doubt3: {of: [primary, third], measure: disagreement, range: [0, 1], max_age: 500ms}\n",
    )
    pair.change("calibrated.disagreement\n", "calibrated.disagreement || doubt3 > calibrated.doubt3\n")
    said = call(*pair.calibrate("--no-stress"))
    assert (said.code, said.err) == (0, "")
    held = json.loads((pair.root / "calibration.json").read_text())
    assert set(held["thresholds"]) == {"disagreement", "doubt3"}
    assert set(held["models"]) == {"primary", "primary.1", "redundant", "third"}
    assert {(row["model"], row["primary"]) for row in held["qualification"]["common"]} == {
        ("redundant", "primary"), ("third", "primary"), ("redundant", "primary.1"), ("third", "primary.1"),
    }  # fmt: skip


def test_a_stated_qualification_needs_labels(call: Call, pair: Pair) -> None:
    data = np.load(pair.root / "data.npz")
    np.savez(pair.root / "data.npz", images=data["images"])
    said = call(*pair.calibrate())
    assert (said.code, "labels" in said.err) == (2, True)
    pair.change("qualification:\n  redundant: {accuracy_loss: 20%, common_mode: 0.6}\n", "")
    assert call(*pair.calibrate()).code == 0


def test_a_policy_that_only_states_a_qualification_has_something_to_calibrate(call: Call, pair: Pair) -> None:
    pair.change("calibrated.disagreement * 0.5", "0.25")
    pair.change("calibrated.disagreement", "0.5")
    assert call(*pair.calibrate("--no-stress")).code == 0
    assert json.loads((pair.root / "calibration.json").read_text())["thresholds"] == {}
    pair.change("qualification:\n  redundant: {accuracy_loss: 20%, common_mode: 0.6}\n", "")
    said = call(*pair.calibrate())
    assert (said.code, "nothing to calibrate" in said.err) == (2, True)


def test_a_primary_alone_has_nothing_to_report(call: Call, project: Any, tmp_path: Path) -> None:
    args = ["calibrate", project.policy, "--data", project.pictures, "--key", project.key]
    assert call(*args).code == 0
    said = call(*args, "--report", tmp_path / "r.md")
    assert (said.code, "a report needs" in said.err) == (2, True)
