"""The pages: every link lands, every command and test they name exists, the README's example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\((?P<target>[^)\s]+)\)")
CITED = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_lands(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    targets = (match["target"].split("#")[0] for match in LINK.finditer(text))
    lost = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert lost == []


def test_every_test_that_the_threat_model_names_exists() -> None:
    cited = list(CITED.finditer((ROOT / "docs" / "threat-model.md").read_text()))
    assert cited
    lost = [match[0] for match in cited if f"def {match['name']}(" not in read(ROOT / match["file"])]
    assert lost == []


def test_every_threat_names_a_test_or_says_that_none_shows_it_yet() -> None:
    rows = re.findall(r"^\| T\d.*$", (ROOT / "docs" / "threat-model.md").read_text(), re.MULTILINE)
    assert rows
    assert [row for row in rows if not CITED.search(row) and "no test yet" not in row] == []


def test_the_decision_records_are_numbered_without_a_gap() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_site_loads_nothing_from_elsewhere() -> None:
    config = read(ROOT / "mkdocs.yml")
    assert "font: false" in config
    assert not re.search(r"https?://", config)


def test_every_target_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named <= targets


def read(path: Path) -> str:
    """A file's text; empty when there is no such file, so that the test can name it."""
    return path.read_text() if path.is_file() else ""
