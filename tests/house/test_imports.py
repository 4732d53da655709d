"""What an import may cost and what it may reach."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "cv2",
    "edgeguard.cli",
    "edgeguard.policy",
    "jinja2",
    "matplotlib",
    "onnxruntime",
    "PIL",
    "pydantic",
    "rich",
    "serial",
    "torch",
    "typer",
    "yaml",
}
DESK = {"matplotlib", "jinja2", "pydantic", "rich", "torch", "typer", "yaml"}
"""What belongs to a desk: never loaded where frames are handled."""


def modules_after(statement: str) -> set[str]:
    """The modules a fresh interpreter holds once it ran `statement`."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_edgeguard_loads_nothing_heavy() -> None:
    assert modules_after("import edgeguard") & (HEAVY | {"numpy"}) == set()


def test_importing_edgeguard_loads_few_modules() -> None:
    """The import's cost, as a count that a busy machine does not change (0.25 s is some hundreds of modules)."""
    assert len(modules_after("import edgeguard") - modules_after("pass")) < 60


@pytest.mark.parametrize("room", ["decision", "gate", "signals", "filter", "inference", "link", "log"])
def test_a_room_on_the_frame_path_loads_nothing_of_a_desk(room: str) -> None:
    assert modules_after(f"import edgeguard.{room}") & DESK == set()


def test_the_guard_loads_nothing_of_a_desk() -> None:
    assert modules_after("import edgeguard.guard") & (DESK | {"edgeguard.policy", "edgeguard.cli"}) == set()


def test_the_order_of_the_house_holds() -> None:
    tool = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert tool is not None
    done = subprocess.run(
        [tool, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
