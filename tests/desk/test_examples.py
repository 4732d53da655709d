"""The policies that ship are examples to learn from: every verb of the desk is content with each of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.policy import check_policy

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "policies").glob("*.yaml"))
WITH_THE_RIG = [*SHIPPED, ROOT / "hil" / "photos_gate.yaml"]
NEW = [path for path in SHIPPED if path.name != "sign_gate.yaml"]
Desk = Callable[..., tuple[int, str]]


def named(path: Path) -> str:
    return path.stem


def test_there_are_examples_of_five_domains() -> None:
    assert [path.stem for path in SHIPPED] == ["drone", "inspection", "robot_cell", "sign_gate", "triage"]


@pytest.mark.parametrize("path", WITH_THE_RIG, ids=named)
def test_an_example_is_valid_and_laid_out(desk: Desk, path: Path) -> None:
    assert desk("check", path)[0] == 0
    assert desk("fmt", "--check", path) == (0, "")


@pytest.mark.parametrize("path", WITH_THE_RIG, ids=named)
def test_an_example_has_nothing_to_lint(desk: Desk, path: Path) -> None:
    code, said = desk("lint", "--strict", path)
    assert code == 0, said
    assert path in WITH_THE_RIG[-1:] or "nothing found" in said  # the rig measures more than its gate reads


@pytest.mark.parametrize("path", WITH_THE_RIG, ids=named)
def test_the_tests_of_an_example_pass_and_see_all_of_it(desk: Desk, path: Path) -> None:
    code, said = desk("test", "--fail-under", 100, path)
    assert code == 0, said
    assert "coverage 100 %" in said


@pytest.mark.parametrize("path", WITH_THE_RIG, ids=named)
def test_every_theorem_about_an_example_is_proved(desk: Desk, path: Path) -> None:
    pytest.importorskip("z3")
    code, said = desk("prove", path)
    assert code == 0, said
    assert not re.search("^(refuted|unknown)", said, re.MULTILINE)


@pytest.mark.parametrize("path", WITH_THE_RIG, ids=named)
def test_an_example_has_a_page(desk: Desk, tmp_path: Path, path: Path) -> None:
    for suffix in ("md", "html"):
        page = tmp_path / f"page.{suffix}"
        code, said = desk("doc", path, "--output", page)
        assert code == 0, said
        assert all(trigger.id in page.read_text() for trigger in check_policy(path).triggers)


@pytest.mark.parametrize("path", NEW, ids=named)
def test_an_example_shows_what_the_language_has(path: Path) -> None:
    text = path.read_text()
    for word in ("let:", "unit: ", "type: bool", "nominal: ", "cause: ", "redundancy:", "latch: true", "clear: ",
                 "within: ", "escalate: ", "ftti: ", "never: ", "only_by: operator", "each: ", "steps:"):  # fmt: skip
        assert word in text, word
    assert re.search("mode: (warn|audit)", text)
    assert 70 <= text.count("\n") <= 190


def test_the_readme_has_a_paragraph_about_each() -> None:
    readme = (ROOT / "policies" / "README.md").read_text()
    assert re.findall(r"^\*\*\[(\w+)\.yaml\]", readme, re.MULTILINE) == [
        "sign_gate",
        "robot_cell",
        "inspection",
        "triage",
        "drone",
    ]
