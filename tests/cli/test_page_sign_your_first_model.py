"""The tutorial on signing: its files, saved as it says, and its commands, run as printed, print what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Page

ROOT = Path(__file__).parents[2]
TOOLS = 'edgeguard() { "$PYTHON" -m edgeguard "$@"; }\npython() { "$PYTHON" "$@"; }\n'


def _shown(line: str, said: list[str]) -> bool:
    """Whether a line of the page was printed; behind `...` anything may stand."""
    if line.endswith("..."):
        return any(other.startswith(line[:-3]) for other in said)
    return line in said


@pytest.mark.slow
@pytest.mark.process
def test_the_tutorial_on_signing_runs_as_printed(page: Callable[[str], Page], tmp_path: Path) -> None:
    text = page("tutorial/sign-your-first-model.md")
    (script,), (manifest,) = text.blocks("python"), text.blocks("json")
    (tmp_path / "make_model.py").write_text(script)
    (tmp_path / "colours").mkdir()
    (tmp_path / "colours" / "edgeguard.json").write_text(manifest)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGEGUARD_")}
    done = subprocess.run(
        ["bash", "-eu", "-c", TOOLS + "".join(text.blocks("sh"))],
        cwd=tmp_path,
        env={**environment, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    said = done.stdout.splitlines()
    shown = [line for block in text.blocks("text") for line in block.splitlines()]
    assert [line for line in shown if not _shown(line, said)] == []
    assert "rollback: its security_version is 1, this device ran 2 already" in done.stdout
