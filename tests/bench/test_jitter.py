"""Jitter is measured frame by frame at a steady rate, each condition in its own process, and told as it is."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import jitter
from bench.profiles import Profile
from bench.variants import INLINE


def conditions() -> dict[str, dict[str, Any]]:
    steps = np.linspace(100.0, 200.0, 101)
    return {
        "no load of ours, as it comes": {"had": {}, "steps": steps, "waits": steps + 10.0},
        "under load, real-time options": {"had": {"fifo": "on"}, "steps": steps, "waits": steps},
    }


def test_frames_come_at_a_steady_rate(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jitter, "load", lambda _: profile)
    monkeypatch.setattr(jitter, "with_cheaper", lambda given, _: given)
    monkeypatch.setattr(jitter, "LEAD_SECONDS", 0.02)
    steps, waits = jitter.frames("signs", INLINE, 20, 100.0, tmp_path)
    assert len(steps) == 20
    assert np.all(waits >= steps)


def test_every_condition_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def child(_chosen: argparse.Namespace, *, real: bool) -> dict[str, Any]:
        asked.append(real)
        return {"had": {}, "steps": np.ones(1), "waits": np.ones(1)}

    monkeypatch.setattr(jitter, "_child", child)
    monkeypatch.setattr(jitter, "load_on", lambda _: nullcontext())
    monkeypatch.setattr(time, "sleep", lambda _: None)
    found = jitter.conditions(argparse.Namespace())
    assert asked == [False, True, False, True]
    assert len(found) == 4


def test_what_was_had_and_every_percentile_are_told() -> None:
    text = jitter.text(conditions(), "a title")
    assert "| no load of ours, as it comes | 150 | 190 | 199 | 200 | 200 | 1.33 |" in text
    assert "- `fifo`: on" in text


def test_results_are_written_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jitter, "conditions", lambda _: conditions())
    assert jitter.main(["--frames", "101", "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "jitter.json").read_text())
    assert (tmp_path / "frame-jitter.png").stat().st_size > 5_000
    assert "From the instant that the frame was due" in capsys.readouterr().out
