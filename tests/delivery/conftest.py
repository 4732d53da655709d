"""A publisher with real keys and a real repository, devices that pull from it, and a web server on localhost.

Signing is slow only the first time: one good repository is made a session, and copied for each test.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("tuf.ngclient", reason="needs python-tuf: install edgeguard-runtime[tuf]")

from edgeguard.cli.app import invoke
from tests import refusals
from tests.delivery.builders_delivery import Device, Publisher
from tests.delivery.builders_server import Server
from tests.refusals import Refused

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the real power: that every step is asked to be durable is looked at in one test, not waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """A released repository with one bundle, one policy and its key."""
    return Publisher.make(tmp_path_factory.mktemp("publisher"), time.time())


@pytest.fixture
def publisher(finished: Publisher, tmp_path: Path) -> Publisher:
    """A copy of it to change."""
    shutil.copytree(finished.folder, tmp_path / "publisher")
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def device(publisher: Publisher, tmp_path: Path) -> Device:
    """A device that was given the repository's first root, and the key that signs policies."""
    return Device(tmp_path / "state", publisher)


@pytest.fixture
def refused() -> Refused:
    """See `tests.refusals`."""
    return refusals.refused


@pytest.fixture
def server(publisher: Publisher) -> Iterator[Server]:
    """The repository on a web server."""
    with Server.of(publisher.repo) as server:
        yield server


@pytest.fixture
def unchanged(device: Device, refused: Refused) -> Callable[[str], None]:
    """Check that a pull is refused for this reason, and that nothing moved."""

    def check(reason: str, path: str = "repository") -> None:
        before = device.installed()
        link = (device.state / "current").readlink() if before else None
        refused(device.pull, reason, path)
        assert device.installed() == before
        if before:
            assert (device.state / "current").readlink() == link

    return check


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.delenv("EDGEGUARD_TRUST", raising=False)

    def said(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = invoke([str(arg) for arg in args])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert "internal" not in err
        return code, out, err

    return said


@pytest.fixture
def pull(say: Say, publisher: Publisher, tmp_path: Path) -> Say:
    """Pull as a device does, with more options."""

    def pulled(*more: object, source: object = None) -> tuple[int, str, str]:
        return say(
            "pull", source or publisher.repo, "--state", tmp_path / "state",
            "--trust", publisher.folder / "keys/release.pub", *more,
        )  # fmt: skip

    return pulled
