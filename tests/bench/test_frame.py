"""The benchmark measures every part and the whole in one run, and says so where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import frame
from edgeguard.errors import AdmissionError


@pytest.fixture
def profile(tiny: Any) -> frame.Profile:
    models = {
        "primary": tiny.classifier(novelty=True),
        "redundant": tiny.classifier(seed=1, role="redundant"),
        "filter": tiny.filter(),
    }
    return frame.Profile("tiny", models, tuple(tiny.frame(i) for i in range(4)))


def test_every_part_the_whole_and_the_difference_are_measured(profile: frame.Profile) -> None:
    result = frame.measure(profile, 10, isolated=False)
    variants: Any = result["variants"]
    assert set(variants) == {
        "bare primary",
        *frame.PARTS,
        "guarded",
        "sum of the parts",
        "orchestration (guarded - parts)",
    }
    assert variants["bare primary"]["ratio"] == 1.0
    for name in ("bare primary", *frame.PARTS, "guarded"):
        assert 0.0 < variants[name]["p50"] <= variants[name]["p99"] <= variants[name]["p99.9"]
    text = frame.markdown([result], "a machine")
    assert "### tiny: 10 frames of [16, 16, 3]" in text
    assert text.count("\n| ") == len(variants) + 1


@pytest.mark.process
def test_the_redundant_model_is_also_measured_in_its_own_process(profile: frame.Profile) -> None:
    variants: Any = frame.measure(profile, 5)["variants"]
    assert variants["guarded, redundant in its own process"]["p50"] > 0.0


def test_a_model_without_novelty_gets_a_policy_without_it() -> None:
    assert "novelty" not in {spec.name for spec in frame.program(novelty=False).signals}
    assert "novelty" in {spec.name for spec in frame.program(novelty=True).signals}


def test_the_results_are_written_for_people_and_machines(
    profile: frame.Profile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(frame, "profile_of", lambda _: profile)
    assert frame.main(["--profile", "signs", "--frames", "3", "--out", str(tmp_path)]) == 0
    document = json.loads((tmp_path / "frame.json").read_text())
    assert document["profiles"][0]["frames"] == 3
    assert (tmp_path / "frame.md").read_text() in capsys.readouterr().out


def test_a_profile_that_was_not_exported_is_skipped_with_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(frame, "ROOT", tmp_path)
    assert frame.main(["--profile", "photos"]) != 0
    said = capsys.readouterr().err
    assert "profile `photos` is skipped" in said
    assert "make models" in said


def test_models_that_are_not_admitted_are_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(name: str) -> frame.Profile:
        raise AdmissionError("signature-missing", "models/signs", "sign it")

    monkeypatch.setattr(frame, "profile_of", refuse)
    assert frame.main(["--profile", "signs"]) == 4
    assert "signature-missing" in capsys.readouterr().err
