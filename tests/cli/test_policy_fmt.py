"""policy fmt."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
MESSY = "edgeguard:   1\nlog:  {flush: 1s} # here\n"
TIDY = "edgeguard: 1\nlog: {flush: 1s}   # here\n"


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    path = tmp_path / "p.yaml"
    path.write_text(MESSY)
    return path


def test_a_file_is_formatted_in_place_and_keeps_its_mode(call: Call, messy: Path) -> None:
    messy.chmod(0o640)
    said = call("policy", "fmt", messy)
    assert (said.code, said.out, said.err) == (0, f"{messy}: formatted\n", "")
    assert messy.read_text() == TIDY
    assert stat.S_IMODE(messy.stat().st_mode) == 0o640
    assert list(messy.parent.iterdir()) == [messy]


def test_a_formatted_file_is_left_alone(call: Call, messy: Path) -> None:
    messy.write_text(TIDY)
    before = messy.stat().st_mtime_ns
    said = call("policy", "fmt", messy)
    assert (said.code, said.out, messy.stat().st_mtime_ns) == (0, "", before)


def test_check_exits_5_and_changes_nothing(call: Call, messy: Path) -> None:
    said = call("policy", "fmt", "--check", messy)
    assert (said.code, said.out, messy.read_text()) == (5, f"{messy}: would change\n", MESSY)
    messy.write_text(TIDY)
    assert call("policy", "fmt", "--check", messy).code == 0


def test_diff_shows_what_would_change(call: Call, messy: Path) -> None:
    messy.write_text(MESSY.rstrip("\n"))
    said = call("policy", "fmt", "--diff", messy)
    assert said.code == 0
    assert "-edgeguard:   1\n" in said.out
    assert "+edgeguard: 1\n" in said.out
    assert "no newline at the end" in said.out
    assert messy.read_text() == MESSY.rstrip("\n")


def test_stdout_prints_the_text_and_changes_nothing(call: Call, messy: Path) -> None:
    said = call("policy", "fmt", "--stdout", messy)
    assert (said.code, said.out, messy.read_text()) == (0, TIDY, MESSY)


def test_a_signature_that_no_longer_fits_is_named(call: Call, messy: Path) -> None:
    signature = messy.with_name("p.yaml.sig")
    signature.write_text("{}")
    said = call("policy", "fmt", messy)
    assert f"{signature}: no longer fits" in said.err
    assert "edgeguard sign" in said.err
    assert call("policy", "fmt", messy).err == ""


def test_what_does_not_read_exits_3_and_nothing_is_written(call: Call, messy: Path) -> None:
    bad = messy.with_name("bad.yaml")
    bad.write_text("a: yes\nb: &x 1\n")
    said = call("policy", "fmt", messy, bad)
    assert said.code == 3
    assert f"{bad}:1:4: EG1011" in said.err
    assert f"{bad}:2:4: EG1006" in said.err
    assert messy.read_text() == MESSY


def test_a_policy_with_mistakes_in_its_meaning_is_formatted(call: Call, messy: Path) -> None:
    messy.write_text("edgeguard: 7\nrules:  nonsense\n")
    assert call("policy", "fmt", messy).code == 0
    assert messy.read_text() == "edgeguard: 7\nrules: nonsense\n"


def test_a_missing_file_is_a_wrong_call(call: Call, tmp_path: Path) -> None:
    said = call("policy", "fmt", tmp_path / "x.yaml")
    assert (said.code, "cannot read" in said.err) == (2, True)


def test_through_a_link_the_file_itself_is_formatted(call: Call, messy: Path) -> None:
    link = messy.with_name("link.yaml")
    link.symlink_to(messy)
    assert call("policy", "fmt", link).code == 0
    assert link.is_symlink()
    assert messy.read_text() == TIDY


def test_a_folder_that_takes_no_new_file_is_a_wrong_call(
    call: Call, messy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    said = call("policy", "fmt", messy)
    assert (said.code, "permission denied" in said.err) == (2, True)
    assert messy.read_text() == MESSY


def test_a_write_that_fails_leaves_the_file_as_it_was(
    call: Call, messy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = call("policy", "fmt", messy)
    assert (said.code, "no space left" in said.err) == (2, True)
    assert messy.read_text() == MESSY
    assert list(messy.parent.iterdir()) == [messy]
