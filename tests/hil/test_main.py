from __future__ import annotations

from pathlib import Path

import pytest

from hil.__main__ import main

SCENARIOS = Path(__file__).resolve().parents[2] / "hil" / "scenarios"


def test_check_names_the_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(SCENARIOS / "05-patch.yaml")]) == 0
    assert "adversarial patch" in capsys.readouterr().out


def test_a_bad_scenario_is_exit_2_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("scenario: 3\n", encoding="utf-8")
    assert main(["check", str(bad)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {bad}:1: ")
    assert "Traceback" not in said


@pytest.mark.parametrize("seeds", ["0", "-1", "many", "10001"])
def test_a_senseless_number_of_seeds_is_a_usage_error(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["demo", "--seeds", seeds])
    assert left.value.code == 2
    assert "a number from 1" in capsys.readouterr().err


def test_a_missing_policy_is_a_clear_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["demo", "--no-live", "--policy", str(tmp_path / "no.yaml"), "--out", str(tmp_path)])
    assert code in (2, 4)
    assert "no.yaml" in capsys.readouterr().err


def test_a_scenario_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--only", "blizzard", "--out", str(tmp_path)]) == 2
    assert "`blizzard`" in capsys.readouterr().err


def test_photos_without_their_models_say_how_to_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hil.photos.BUNDLES", tmp_path)
    assert main(["demo", "--profile", "photos", "--out", str(tmp_path)]) == 2
    assert "make models" in capsys.readouterr().err
