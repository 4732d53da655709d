"""policy doc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize(("name", "begins"), [("a.md", "# Policy colours"), ("a.html", "<!doctype html>")])
def test_the_file_s_name_says_what_is_written(
    call: Call, project: Any, tmp_path: Path, name: str, begins: str
) -> None:
    said = call("policy", "doc", project.policy, "-o", tmp_path / name)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{tmp_path / name}: colours version 1, policy ")
    assert (tmp_path / name).read_text().startswith(begins)


def test_without_a_file_it_goes_to_stdout_and_is_the_very_same(
    call: Call, project: Any, tmp_path: Path
) -> None:
    for medium in ("md", "html"):
        said = call("policy", "doc", project.policy, "--format", medium)
        assert call("policy", "doc", project.policy, "-o", tmp_path / f"a.{medium}").code == 0
        assert said.out == (tmp_path / f"a.{medium}").read_text()
    assert call("policy", "doc", project.policy).out.startswith("# Policy colours")


def test_a_format_wins_over_the_name(call: Call, project: Any, tmp_path: Path) -> None:
    assert call("policy", "doc", project.policy, "-o", tmp_path / "a.txt", "--format", "md").code == 0
    assert (tmp_path / "a.txt").read_text().startswith("# Policy")


def test_another_suffix_says_what_to_do(call: Call, project: Any, tmp_path: Path) -> None:
    said = call("policy", "doc", project.policy, "-o", tmp_path / "a.pdf")
    assert said.code == 2
    assert "is neither .md nor .html; name the file so, or add `--format md|html`" in said.err
    assert not (tmp_path / "a.pdf").exists()


def test_a_policy_with_findings_gives_no_document(call: Call, project: Any, tmp_path: Path) -> None:
    project.policy.write_text(project.policy.read_text().replace("then: rules", "then: ruels"))
    said = call("policy", "doc", project.policy, "-o", tmp_path / "a.md")
    assert (said.code, said.out) == (3, "")
    assert not (tmp_path / "a.md").exists()
