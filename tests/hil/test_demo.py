from __future__ import annotations

import json
from pathlib import Path

import pytest

from hil.__main__ import main
from hil.profile import Profile


def test_the_demo_drives_judges_and_reports(
    signed: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "1", "--only", "clean-stop", "--only", "patch", "--out", str(tmp_path)]
    code = main(["demo", *options, "--policy", str(signed.policy), "--trust", str(signed.trust)])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "semi-synthetic" in said
    assert "edgeguard explain" in said
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    rows = {row["scenario"]: row for row in results["rows"]}
    assert rows["patch"]["unguarded_violations"] == 1
    assert rows["patch"]["guarded_violations"] == 0
    assert all(claim["held"] for claim in results["claims"])
    assert (tmp_path / "report.html").stat().st_size > 50_000
    assert (tmp_path / "demo.png").stat().st_size > 20_000


def test_a_campaign_that_shows_nothing_clean_is_exit_5(
    signed: Profile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--seeds", "1", "--only", "tampered-model", "--out", str(tmp_path)]
    code = main(["campaign", *options, "--policy", str(signed.policy), "--trust", str(signed.trust)])
    assert code == 5
    assert "BROKEN" in capsys.readouterr().out
