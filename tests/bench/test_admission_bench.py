"""The bench of admission measures every case on bundles that are admitted, and writes its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import admission


def test_bench_measures_every_case_and_writes_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("model_signing", reason="the reference implementation is a development dependency")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- admission-table -->\n<!-- /admission-table -->\nafter\n")
    place = tmp_path / "results.json"
    arguments = ["--megabytes", "1", "--runs", "1", "--json", str(place), "--page", str(page)]
    assert admission.main(arguments) == 0
    results = json.loads(place.read_text())
    assert [(row["layout"], row["kind"]) for row in results["admission"]] == list(admission.CASES)
    for row in results["admission"]:
        assert row["seconds"] > 0
        assert row["peak"] >= row["added"] >= 0
    for stages in results["first verdict"].values():
        assert set(stages) == set(admission.STAGES)
    assert capsys.readouterr().out.strip() in page.read_text()


@pytest.mark.parametrize("megabytes", [1, 3])
def test_a_made_model_is_as_large_as_was_asked(megabytes: int) -> None:
    assert abs(len(admission.model(megabytes)) / 1e6 - megabytes) < 0.1 * megabytes
