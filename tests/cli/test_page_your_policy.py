"""The tutorial on a policy of one's own: its commands run as printed, and say what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial" / "your-policy.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.process
def test_the_tutorial_on_a_policy_runs_as_printed(tmp_path: Path) -> None:
    for name, text in zip(("oven.yaml",), blocks("yaml"), strict=True):
        (tmp_path / name).write_text(text)
    script = 'edgeguard() { "$PYTHON" -m edgeguard "$@"; }\n' + "".join(blocks("sh"))
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    shown = [line for block in blocks("text") for line in block.splitlines() if not line.endswith("...")]
    assert [line for line in shown if line not in done.stdout.splitlines()] == []
