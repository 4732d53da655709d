"""Every block of code in the documentation is one in the built site, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OPENS = re.compile(r"```(?:[a-z0-9]*| ?\{(?:\.[a-z]+ ?)+\})")
"""What the site's generator takes for the begin of a block: a second word after the language is none."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_fence_opens_a_block(page: Path) -> None:
    lines = [line.strip() for line in page.read_text().splitlines() if line.lstrip().startswith("```")]
    assert len(lines) % 2 == 0
    assert [line for line in lines[::2] if not OPENS.fullmatch(line)] == []
    assert set(lines[1::2]) <= {"```"}
