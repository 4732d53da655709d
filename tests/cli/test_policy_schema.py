"""policy schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeguard.desk.schema import SHIPPED

Call = Callable[..., Any]


def test_the_schema_is_printed(call: Call) -> None:
    said = call("policy", "schema")
    assert (said.code, said.out) == (0, SHIPPED.read_text(encoding="utf-8"))
    assert json.loads(said.out)["title"] == "edgeguard policy"


def test_the_schema_is_written(call: Call, tmp_path: Path) -> None:
    said = call("policy", "schema", "-o", tmp_path / "s.json")
    assert (said.code, said.out) == (0, "")
    assert (tmp_path / "s.json").read_bytes() == SHIPPED.read_bytes()


def test_the_modeline_names_the_file_of_the_package(call: Call) -> None:
    said = call("policy", "schema", "--modeline")
    assert (said.code, said.out) == (0, f"# yaml-language-server: $schema={SHIPPED.as_posix()}\n")
    assert SHIPPED.is_file()


def test_the_modeline_names_the_file_that_is_written(call: Call, tmp_path: Path) -> None:
    said = call("policy", "schema", "-o", tmp_path / "s.json", "--modeline")
    assert said.out == f"# yaml-language-server: $schema={tmp_path}/s.json\n"
    assert (tmp_path / "s.json").exists()


def test_a_folder_that_does_not_exist_is_a_wrong_call(call: Call, tmp_path: Path) -> None:
    said = call("policy", "schema", "-o", tmp_path / "no" / "s.json")
    assert (said.code, "cannot write" in said.err) == (2, True)
