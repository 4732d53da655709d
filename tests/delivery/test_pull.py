"""What a device pulls: the whole way from a publisher's desk to `current`, over the web and from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher, Server

NAMES = {
    "keys/release.pub",
    "models/signs/CARD.md",
    "models/signs/edgeguard.json",
    "models/signs/model.onnx",
    "models/signs/model.sig",
    "policies/gate.yaml",
    "policies/gate.yaml.sig",
}


@pytest.mark.parametrize("way", ["web", "folder"])
def test_what_is_offered_is_installed_as_it_was_signed(
    device: Device, publisher: Publisher, server: Server, way: str
) -> None:
    pulled = device.pull(server.address if way == "web" else publisher.repo)
    assert pulled.changed
    assert pulled.fetched == len(NAMES)
    assert set(device.installed()) == set(pulled.names) == NAMES
    assert (device.state / "current/models/signs/model.onnx").read_bytes() == (
        publisher.folder / "models/signs/model.onnx"
    ).read_bytes()
    assert Path.readlink(device.state / "current") == Path("releases/1")
