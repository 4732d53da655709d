"""The page about remembering versions runs as printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.process
def test_the_page_runs_as_printed(page: Callable[[str], Any], tmp_path: Path) -> None:
    told = page("how-to/remember-versions.md")
    (tmp_path / "state").mkdir(mode=0o700)
    told.run(tmp_path, "part-of-a-policy.yaml")
