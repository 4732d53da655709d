"""The tutorial on a policy: its commands, run as printed in an empty folder, print what the page shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Page


@pytest.mark.process
def test_the_tutorial_on_a_policy_runs_as_printed(page: Callable[[str], Page], tmp_path: Path) -> None:
    said = page("tutorial/your-policy.md").run(tmp_path, "oven.yaml")
    assert "refuted  invariant-1" in said
    assert "exit code 5" in said
