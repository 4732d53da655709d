"""`edgeguard encrypt`: the way from a plain bundle to one that only a device with its key admits."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgeguard.cli.app import invoke
from tests.hostile.bundles.builders import good_files, write_files


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path / "plain", good_files())
    (tmp_path / "content.key").write_bytes(os.urandom(32))
    (tmp_path / "content.key").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_says_what_to_do_next(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["encrypt", "plain", "--key", "content.key", "--out", "closed"]) == 0
    assert "edgeguard sign closed" in capsys.readouterr().out
    assert b"encryption" in (place / "closed/edgeguard.json").read_bytes()


def test_it_overwrites_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["encrypt", "plain", "--key", "content.key", "--out", "plain"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert (place / "plain/model.onnx").read_bytes() == good_files()["model.onnx"]


def test_a_key_that_others_can_read_is_not_used(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "content.key").chmod(0o644)
    assert invoke(["encrypt", "plain", "--key", "content.key", "--out", "closed"]) == 2
    assert "chmod 600" in capsys.readouterr().err


def test_a_key_of_another_length_is_not_used(place: Path) -> None:
    (place / "content.key").write_bytes(b"short")
    assert invoke(["encrypt", "plain", "--key", "content.key", "--out", "closed"]) == 2


def test_a_folder_that_is_no_bundle_is_refused(place: Path) -> None:
    (place / "plain/edgeguard.json").unlink()
    assert invoke(["encrypt", "plain", "--key", "content.key", "--out", "closed"]) == 4
    assert not (place / "closed").exists()
