"""The disk fills up, or the power fails, at every step of a pull and a release: the old whole stays, or the new one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeguard.errors import UsageError
from tests.delivery.builders_delivery import Device

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Publisher

CALLS = ("fsync", "mkdir", "rename", "replace", "symlink", "unlink", "write")


class PowerCut(BaseException):
    """Nothing goes on after this."""


class Failing:
    """Makes the `at`-th call that changes the disk fail, counting from 1."""

    def __init__(self, at: int, error: Callable[[], BaseException]) -> None:
        self.left = at
        self.error = error

    @contextmanager
    def active(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, self._wrap(getattr(os, name)))
            patch.setattr(shutil, "copyfileobj", self._wrap(shutil.copyfileobj))
            patch.setattr(shutil, "copyfile", self._wrap(shutil.copyfile))
            yield

    def _wrap(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise self.error()
            return real(*args, **named)

        return call


def full() -> BaseException:
    return OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [full, PowerCut], ids=["disk full", "power cut"])
def test_a_pull_that_fails_at_any_step_leaves_the_old_release_or_the_new_one(
    device: Device, publisher: Publisher, tmp_path: Path, error: Callable[[], BaseException]
) -> None:
    device.pull()
    old = device.installed()
    publisher.bundle("signs", version=4)
    publisher.bundle("spare")
    publisher.add("models/signs", "models/spare")
    publisher.release()
    done = Device(Path(shutil.copytree(device.state, tmp_path / "done", symlinks=True)), publisher)
    done.pull()
    new = done.installed()
    assert new != old
    failed = []
    for at in range(1, 1000):
        state = Path(shutil.copytree(device.state, tmp_path / f"state{at}", symlinks=True))
        trial = Device(state, publisher)
        failing = Failing(at, error)
        try:
            with failing.active():
                trial.pull()
        except (UsageError, PowerCut):
            failed.append(at)
        assert trial.installed() in (old, new)
        trial.pull()
        assert trial.installed() == new
        shutil.rmtree(state)
        if failing.left > 0:
            break
    else:
        pytest.fail("it never came to an end")
    assert len(failed) > 30


def test_a_first_pull_that_fails_at_any_step_installs_nothing_or_all(
    device: Device, publisher: Publisher, tmp_path: Path
) -> None:
    for at in range(1, 1000, 3):
        trial = Device(tmp_path / f"state{at}", publisher)
        failing = Failing(at, PowerCut)
        try:
            with failing.active():
                trial.pull()
        except PowerCut:
            assert len(trial.installed()) in (0, 7)
        trial.pull()
        assert len(trial.installed()) == 7
        if failing.left > 0:
            return
    pytest.fail("it never came to an end")


def test_a_release_that_fails_at_any_step_leaves_devices_the_old_one_or_the_new_one(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    publisher.sign("models1", "models2")
    for at in range(1, 1000):
        folder = Path(shutil.copytree(publisher.folder, tmp_path / f"publisher{at}"))
        trial = type(publisher)(folder)
        failing = Failing(at, PowerCut)
        try:
            with failing.active():
                trial.release_staged()
        except PowerCut:
            pass
        device = Device(tmp_path / f"device{at}", trial)
        device.pull()
        version = (
            '"security_version": 4' in (device.state / "current/models/signs/edgeguard.json").read_text()
        )
        trial.release_staged()
        assert device.pull().changed is not version
        assert '"security_version": 4' in (device.state / "current/models/signs/edgeguard.json").read_text()
        if failing.left > 0:
            return
    pytest.fail("it never came to an end")


def test_what_is_installed_is_on_the_disk_before_the_link_moves(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    real = os.replace
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )

    def replace(source: Path, target: Path) -> None:
        steps.append(f"replace {target}")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    device.pull()
    moved = steps.index(f"replace {device.state / 'current'}")
    incoming = str(device.state / "releases/incoming")
    for name in device.installed():
        assert f"{incoming}/{name}" in steps[:moved]
    assert f"{incoming}/models/signs" in steps[:moved]
    assert str(device.state / "releases") in steps[:moved]
    assert str(device.state) in steps[moved:]


def test_a_disk_with_too_little_room_is_said_before_anything_is_fetched(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "edgeguard.delivery.releases.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(10, 5, 5)
    )
    with pytest.raises(UsageError, match="has 5 bytes left and this pull needs"):
        device.pull()
    assert device.installed() == {}


def test_a_state_folder_that_cannot_be_written(device: Device, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    device.state = tmp_path / "file" / "state"
    with pytest.raises(UsageError, match="cannot write"):
        device.pull()


def test_links_and_pipes_in_what_is_being_fetched_are_cleared_away(
    device: Device, publisher: Publisher
) -> None:
    incoming = device.state / "releases/incoming/models/signs"
    incoming.mkdir(parents=True)
    (incoming / "model.onnx").symlink_to(publisher.folder / "models/signs/model.onnx")
    os.mkfifo(incoming / "CARD.md")
    (incoming / "extra").write_text("mine")
    (device.state / "releases/incoming/policies").symlink_to(publisher.folder / "policies")
    assert device.pull().changed
    assert not any(path.is_symlink() for path in (device.state / "releases/1").rglob("*"))
    assert len(device.installed()) == 7
