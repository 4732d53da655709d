"""The page on delivery: its commands, run as printed on a desk with a signed bundle, print what the page shows."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeguard.cli.app import invoke

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Publisher

PAGE = Path(__file__).parents[2] / "docs/how-to/deliver-models.md"


def blocks(language: str) -> str:
    """What stands in the fenced blocks of a language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return "".join(found).replace("\\\n", "")


def test_the_page_on_delivery_runs_as_printed(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = tmp_path / "desk"
    (desk / "keys").mkdir(parents=True)
    for name in ("models", "policies"):
        shutil.copytree(publisher.folder / name, desk / name)
    shutil.copy(publisher.folder / "keys/release.pub", desk / "keys")
    monkeypatch.chdir(desk)
    commands = blocks("sh").splitlines()
    assert len(commands) > 20
    for command in commands:
        verb, *args = shlex.split(command)
        assert verb == "edgeguard"
        assert invoke(args) == 0, f"{command}\n{capsys.readouterr().err}"
    said = re.sub(r"\d{4}-\d\d-\d\d", "YYYY-MM-DD", capsys.readouterr().out).splitlines()
    for line in blocks("text").splitlines():
        assert line in said
    assert (desk / "state/current/models/signs/model.onnx").is_file()
