"""The page on testing a policy: its commands, run as printed in an empty folder, print what the page shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Page


@pytest.mark.process
def test_the_page_on_testing_a_policy_runs_as_printed(page: Callable[[str], Page], tmp_path: Path) -> None:
    said = page("how-to/test-a-policy.md").run(tmp_path, "door.yaml", "more.yaml")
    assert "exit code 5" in said
    assert "not yet" in said
    assert ET.parse(tmp_path / "results.xml").getroot().get("failures") == "0"  # noqa: S314 - our own
