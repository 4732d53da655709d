from __future__ import annotations

from pathlib import Path

import pytest

from edgeguard.errors import UsageError
from hil.camera import Camera
from hil.scenario import Scenario, draw, load_all, load_scenario

GOOD = """\
scenario: fog
title: fog
story: a stop sign in fog
sign: stop
must_stop: true
camera: {blur: 2.0}
"""


def refused(folder: Path, text: str) -> str:
    file = folder / "fog.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_scenario(file)
    return str(caught.value)


def test_the_committed_scenarios_are_valid_and_complete() -> None:
    names = {s.scenario for s in load_all()}
    assert names >= {
        "clean-stop", "clean-signs", "clean-empty", "night-noise", "patch", "pgd", "unknown-object",
        "frozen-camera", "redundant-killed", "host-killed", "host-hung", "tampered-model",
    }  # fmt: skip


def test_every_sign_of_every_scenario_has_artwork() -> None:
    signs = {*Camera(split="test", seed=0).signs(), "none"}
    assert {sign for s in load_all() for sign in s.sign} <= signs


def test_a_good_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "fog.yaml").write_text(GOOD, encoding="utf-8")
    (scenario,) = load_all(tmp_path)
    assert scenario.camera.blur == 2.0
    assert scenario.sign == ("stop",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD + "colour: red\n", ":7: unknown key `colour`"),
        (GOOD.replace("{blur: 2.0}", "{blurr: 2.0}"), ":6: unknown key `camera.blurr`"),
        (GOOD.replace("must_stop: true", "must_stop: 1"), ":5: `must_stop`: input should be a valid boolean"),
        (GOOD.replace("sign: stop\n", ""), ":1: the key `sign` is missing"),
        (GOOD + "title: twice\n", ":7: the key `title` is written twice"),
        (GOOD + "fault: {kind: melt}\n", ":7: `fault.kind` is one of"),
        (GOOD + "fault: {kind: freeze-camera, after: 3}\n", ":7: `fault.after`: write a duration such as"),
        (GOOD + "fault: {kind: kill-host}\n", ":1: `kill-host` and `hang-host` need `rig: process`"),
        (GOOD + "start: {speed: [9, 3]}\n", ":7: `start`: an interval is [low, high]"),
        (GOOD.replace("{blur", "}{blur"), ":6: not YAML:"),
        ("", ":1: the file is empty"),
        ("- a\n", ":1: "),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_a_missing_file_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nothing\.yaml` cannot be read: no such file|No such file"):
        load_scenario(tmp_path / "nothing.yaml")
    with pytest.raises(UsageError, match="no scenario files"):
        load_all(tmp_path)


def test_two_files_may_not_describe_one_scenario(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match="two files"):
        load_all(tmp_path)


def test_a_seed_always_draws_the_same_start() -> None:
    scenario = Scenario(scenario="fog", title="fog", story="fog", sign=("stop", "yield"), must_stop=True)
    assert draw(scenario, 3) == draw(scenario, 3)
    assert draw(scenario, 3) != draw(scenario, 5)
    assert [draw(scenario, seed).sign for seed in range(3)] == ["stop", "yield", "stop"]
