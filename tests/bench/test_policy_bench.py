"""The bench of the policy engine measures every size, another engine and loading, and writes both reports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import policy


def test_bench_measures_and_writes_both_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert policy.main(["--steps", "20", "--no-proofs", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "policy.json").read_text())["results"]
    steps = results["One step, us over the bare loop"]
    assert [(row["rules"], row["input"]) for row in steps] == [
        (rules, given) for rules in policy.SIZES for given in ("calm", "held")
    ]
    assert results["30 conditions, us over the bare loop"][0]["engine"] == "edgeguard"
    assert results["Loading, after import"][0]["lines"] == policy.LINES
    assert (tmp_path / "policy.md").read_text() in capsys.readouterr().out


def test_the_rule_of_the_held_row_holds() -> None:
    program, _ = policy.compiled(30)
    _, healthy = policy.calm_input()
    held = program.when((0.95,) + (0.5,) * (policy.SIGNALS - 1), healthy)
    assert held[0].name == "TRUE"
    assert program.when(*policy.calm_input()) is program.table.calm
