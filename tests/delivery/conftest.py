"""A publisher with real keys and a real repository, devices that pull from it, and a web server on localhost.

Signing is slow only the first time: one good repository is made a session, and copied for each test.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("tuf.ngclient", reason="needs python-tuf: install edgeguard-runtime[tuf]")

from tests.delivery.builders_delivery import Device, Publisher, Server

Refused = Callable[[Callable[[], object], str, str], None]


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
def server(publisher: Publisher) -> Iterator[Server]:
    """The repository on a web server."""
    with Server.of(publisher.repo) as server:
        yield server
