"""The README: its Python example runs as printed, its policy excerpt is the demo's policy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeguard.types import Answer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def block(language: str) -> str:
    """The README's first fenced block in `language`."""
    match = re.search(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[1]


def test_the_example_is_ten_lines() -> None:
    assert len([line for line in block("python").splitlines() if line.strip()]) <= 10


def test_the_policy_excerpt_is_from_the_demo_policy() -> None:
    policy = (ROOT / "policies" / "sign_gate.yaml").read_text().splitlines()
    assert [line for line in block("yaml").splitlines() if line not in policy] == []


def test_the_example_runs_as_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blank pictures: the example must come to the end and say that nobody may act."""
    monkeypatch.chdir(ROOT)
    sent: list[dict[str, float]] = []
    camera: list[NDArray[np.uint8]] = [np.zeros((64, 64, 3), np.uint8)] * 4

    def plan(answer: Answer, context: dict[str, float]) -> dict[str, float]:
        assert answer.name
        assert set(context) == {"speed", "distance", "unexplained"}
        return {"brake": 0.0, "throttle": 0.5}

    names = {
        "camera": camera,
        "plan": plan,
        "vehicle": lambda: {"speed": 5.0, "distance": 40.0, "unexplained": 0.0},
        "actuate": lambda values: sent.append(dict(values)),
    }
    code = compile(block("python"), "README.md", "exec")
    exec(code, names)  # noqa: S102 - the README's own text is what is tested
    names["guard"].close()  # type: ignore[attr-defined]
    assert len(sent) == len(camera)
    assert all(set(values) == {"brake", "throttle"} for values in sent)
    assert sent[-1]["throttle"] == 0.0
    assert "SAFE_STATE" in capsys.readouterr().out
