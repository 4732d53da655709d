"""The soak measures what a long run must show, and says when a demand is not met."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import rig, soak

MISSING = not (rig.ROOT / "models" / "signs" / "primary" / "model.onnx").is_file()


@pytest.mark.process
@pytest.mark.skipif(MISSING, reason="the sign models are not exported; `make models` makes them")
def test_a_short_soak_kills_workers_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "_KILL_EVERY", 1.0)
    monkeypatch.setattr(soak, "_SAMPLE_EVERY", 0.05)
    soak.main(["--minutes", "0.05", "--rate", "30", "--out", str(tmp_path)])
    result = json.loads((tmp_path / "soak.json").read_text())
    assert result["kills"] >= 1
    assert result["steps"] > 10
    assert set(result["memory"]) == {"host", "eyes", "second"}
    assert result["demands"]["no verdict for the model while a worker was down"]
    assert result["verdicts"]["model"] > 0
    assert "| no missed watchdog |" in (tmp_path / "soak.md").read_text()


def test_growth_is_told_from_the_settled_part() -> None:
    samples = soak.Samples()
    samples.at = [float(at) for at in range(0, 200, 5)]
    samples.resident = [10] * 12 + [100] * 14 + [103] * 14
    samples.descriptors = [3] * 39 + [4]
    judged = samples.judged(60.0)
    assert judged["growth"] == pytest.approx(0.03)
    assert (judged["descriptors"], judged["most_descriptors"]) == (3, 4)


def test_a_gap_between_signs_of_life_is_noticed() -> None:
    from edgeguard.watchdog import Watchdog

    manager = soak.Manager()
    watchdog = Watchdog(manager.address, soak.WATCHDOG)
    for now in (0.0, 0.2, 0.8, 1.0):
        watchdog.stepped(now, healthy=True, status="nominal")
        manager.look(now)
    watchdog.close()
    manager.close()
    assert manager.missed == 1
    assert manager.longest == pytest.approx(0.6)


def test_a_process_that_is_gone_gives_no_sample() -> None:
    samples = soak.Samples()
    samples.take(0.0, 2**22 + 1)
    assert not samples.at
    assert samples.judged(1.0)["growth"] == 0.0
