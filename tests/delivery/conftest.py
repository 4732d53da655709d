"""A publisher with real keys and a real repository, devices that pull from it, and a web server on localhost.

Signing is slow only the first time: one good repository is made a session, and copied for each test.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("tuf.ngclient", reason="needs python-tuf: install edgeguard-runtime[tuf]")

from edgeguard.cli.app import invoke
from edgeguard.errors import AdmissionError
from tests.delivery.builders_delivery import Device, Publisher
from tests.delivery.builders_server import Server

Say = Callable[..., tuple[int, str, str]]
Refused = Callable[[Callable[[], object], str, str], None]


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


_ADVICE = re.compile(r"\b(check|copy|correct|give|have|install|make|put|remove|rename|run)\b")


@pytest.fixture
def refused() -> Refused:
    """Check that a call is refused with this reason (or one of `a|b`), for this file, in words that say what to do."""

    def check(call: Callable[[], object], reason: str, path: str) -> None:
        with pytest.raises(AdmissionError) as caught:
            call()
        error = caught.value
        assert error.reason in reason.split("|"), str(error)
        assert error.path.endswith(path), error.path
        assert error.exit_code == 4
        said = str(error).partition(f"{error.reason}: ")[2]
        assert _ADVICE.search(said), said
        assert "\n" not in said
        assert "Error" not in said
        assert not said.endswith(".")
        assert said[0] != said[0].upper() or said[0] == "`"
        assert error.__cause__ is None

    return check


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
