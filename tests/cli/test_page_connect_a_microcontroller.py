"""The page on connecting a microcontroller: its commands run as printed, with the firmware as a process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Page

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with `edgeguard` and `python`, as a reader has them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, what in (("edgeguard", " -m edgeguard"), ("python", "")):
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{what} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("make")),
    reason="needs a C compiler and make: apt install build-essential",
)
def test_the_page_arms_stops_releases_and_arms_again(
    page: Callable[[str], Page], project: Any, tools: Path
) -> None:
    text = page("how-to/connect-a-microcontroller.md")
    (panel,) = text.blocks("python")
    (project.root / "panel.py").write_text(panel)
    done = subprocess.run(
        ["bash", "-eu", "-c", "".join(text.blocks("sh"))],
        cwd=project.root,
        env={
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "EDGEGUARD": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    said = done.stdout.splitlines()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    seen = [line for line in said if line.startswith(("enabled (", "fallback_only ("))]
    assert seen[0] == "enabled (armed), latched: nothing"
    assert "fallback_only (stopped), latched: stop" in seen
    assert "fallback_only (stopped), latched: nothing" in seen
    assert seen[-1] == "enabled (armed), latched: nothing"
    assert "round trips: min" in done.stdout
    assert "EMERGENCY STOP pressed; latched: stop; let it go, then x releases and a arms" in done.stdout
    assert "the microcontroller's latches are released" in done.stdout
