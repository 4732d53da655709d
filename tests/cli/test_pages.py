"""The pages about the command line: the tutorial runs as printed, and the reference names every verb and option."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from edgeguard.cli.app import app

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial" / "your-model.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "cli.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """Every fenced block in `language`."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def newcomer(made: Path, tmp_path: Path) -> Callable[[list[str]], subprocess.CompletedProcess[str]]:
    """Somebody with a model, labels and pictures in an otherwise empty folder, and `edgeguard` on the path."""
    for name in ("model.onnx", "labels.txt", "pictures"):
        (tmp_path / name).symlink_to(made / name)
    tools = tmp_path / ".bin"
    tools.mkdir()
    (tools / "edgeguard").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgeguard "$@"\n')
    (tools / "edgeguard").chmod(0o755)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGEGUARD_")}
    environment |= {"PATH": f"{tools}:{environment['PATH']}", "PYTHONPATH": str(ROOT)}

    def does(command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    return does


@pytest.mark.slow
@pytest.mark.process
def test_the_tutorial_runs_as_printed(newcomer: Callable[[list[str]], Any]) -> None:
    said = ""
    for block in blocks(TUTORIAL, "sh"):
        done = newcomer(["bash", "-eu", "-c", block])
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said += done.stdout
    assert "valid: model version 1" in said
    assert "-> model (nominal)" in said
    assert "run.log: intact" in said
    assert "refused with exit code 4" in said
    for block in blocks(TUTORIAL, "python"):
        done = newcomer([sys.executable, "-W", "error", "-c", block])
        assert (done.returncode, done.stderr) == (0, "")
        used = re.match(r"(\d+) of 100 steps on the model's answer", done.stdout)
        assert used is not None
        assert int(used[1]) > 0


def commands(command: Any, path: str = "") -> list[tuple[str, Any]]:
    """Every verb with its full name."""
    below = getattr(command, "commands", None)
    if below is None:
        return [(path.strip(), command)]
    return [found for name, child in below.items() for found in commands(child, f"{path} {name}")]


@pytest.mark.parametrize(
    ("verb", "command"), commands(get_command(app)), ids=lambda v: v if isinstance(v, str) else ""
)
def test_the_reference_names_every_verb_and_option(verb: str, command: Any) -> None:
    heading = re.search(
        rf"^### `edgeguard {verb}\b.*?(?=^##)", f"{REFERENCE}\n## end", re.MULTILINE | re.DOTALL
    )
    assert heading is not None
    options = [name for p in command.params for name in [*p.opts, *p.secondary_opts] if name.startswith("-")]
    missing = [
        name
        for name in options
        if name != "--help" and f"`{name}`" not in heading[0] and f"{name} " not in heading[0]
    ]
    assert missing == []


def test_the_reference_names_no_option_that_is_not_there() -> None:
    real = {
        name for _, c in commands(get_command(app)) for p in c.params for name in [*p.opts, *p.secondary_opts]
    }
    named = set(re.findall(r"`(--[a-z-]+)", REFERENCE))
    assert named - real <= {"--help"}
