"""A repository on a stick that somebody prepared: nothing on it is followed, waited for or read without end."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from edgeguard.delivery.folder import FolderFetcher
from edgeguard.delivery.pull import open_source
from edgeguard.errors import UsageError
from tests.refusals import Refused

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher

MODEL = "models/signs/model.onnx"


@pytest.fixture(params=["timestamp", "root", "model"])
def victim(request: pytest.FixtureRequest, publisher: Publisher) -> Path:
    """A file of the repository to be replaced; the next root is not there yet."""
    metadata = publisher.repo / "metadata"
    return {
        "timestamp": metadata / "timestamp.json",
        "root": metadata / "2.root.json",
        "model": publisher.target(MODEL),
    }[request.param]


def test_a_link_in_the_place_of_a_file(
    device: Device, victim: Path, refused: Refused, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(victim.read_bytes() if victim.exists() else b"{}")
    victim.unlink(missing_ok=True)
    victim.symlink_to(kept)
    refused(device.pull, "link", victim.name)


def test_a_pipe_in_the_place_of_a_file(device: Device, victim: Path, refused: Refused) -> None:
    victim.unlink(missing_ok=True)
    os.mkfifo(victim)
    refused(device.pull, "not-a-file", victim.name)


def test_a_device_in_the_place_of_a_file(device: Device, victim: Path, refused: Refused) -> None:
    victim.unlink(missing_ok=True)
    victim.symlink_to("/dev/zero")
    refused(device.pull, "link", victim.name)


def test_a_folder_in_the_place_of_a_file(device: Device, victim: Path, refused: Refused) -> None:
    victim.unlink(missing_ok=True)
    victim.mkdir()
    refused(device.pull, "not-a-file", victim.name)


def test_a_huge_file_without_content(device: Device, victim: Path, refused: Refused) -> None:
    with victim.open("ab") as file:
        file.truncate(1 << 40)
    refused(device.pull, "too-large", "repository")


@pytest.mark.parametrize("folder", ["metadata", "targets/models", "targets/models/signs"])
def test_a_folder_that_is_a_link(
    device: Device, publisher: Publisher, refused: Refused, tmp_path: Path, folder: str
) -> None:
    place = publisher.repo / folder
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(Exception, match="link: links are not followed"):
        device.pull()
    assert device.installed() == {}


def test_a_stick_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a web address nor a folder"):
        open_source(str(tmp_path / "usb"), tmp_path)


def test_a_stick_with_nothing_on_it(device: Device, tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    with pytest.raises(UsageError, match="is not there"):
        device.pull(tmp_path / "usb")


def test_a_file_that_was_taken_away(device: Device, publisher: Publisher) -> None:
    publisher.target(MODEL).unlink()
    with pytest.raises(UsageError, match="is not there"):
        device.pull()
    assert device.installed() == {}


def test_a_file_that_changes_after_it_was_verified(
    device: Device, publisher: Publisher, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.copyfileobj

    def changed(source: IO[bytes], target: IO[bytes]) -> None:
        real(source, target)
        target.seek(0)
        target.write(b"?")

    monkeypatch.setattr("tuf.ngclient.updater.shutil.copyfileobj", changed)
    refused(device.pull, "digest-mismatch", "repository")
    assert device.installed() == {}


@pytest.mark.parametrize("path", ["../x", "targets/../../x", "targets//x", "./x", "targets/..", ""])
def test_a_path_that_leads_out_of_the_stick(tmp_path: Path, refused: Refused, path: str) -> None:
    (tmp_path / "x").write_text("mine")
    (tmp_path / "usb/targets").mkdir(parents=True)
    fetcher = FolderFetcher(tmp_path / "usb")
    refused(lambda: fetcher.download_bytes(path, 100), "name-unsafe", Path(path).name)
