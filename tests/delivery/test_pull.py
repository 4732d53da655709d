"""What a device pulls: the whole way from a publisher's desk to `current`, over the web and from a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeguard.errors import UsageError

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher
    from tests.delivery.builders_server import Server

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
    signed = hashlib.sha256((publisher.folder / "models/signs/model.onnx").read_bytes()).hexdigest()
    assert device.installed()["models/signs/model.onnx"] == signed
    assert (device.state / "current").readlink() == Path("releases/1")


def test_a_second_pull_changes_nothing_and_fetches_nothing(device: Device, server: Server) -> None:
    device.pull(server.address)
    server.behaviour.asked.clear()
    pulled = device.pull(server.address)
    assert not pulled.changed
    assert pulled.fetched == 0
    assert not [path for path, _ in server.behaviour.asked if path.startswith("/targets")]


def test_an_update_fetches_only_what_changed_and_keeps_the_release_before(
    device: Device, publisher: Publisher
) -> None:
    device.pull()
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    publisher.release()
    pulled = device.pull()
    assert pulled.fetched == 2  # the manifest and the signature
    assert (device.state / "current").readlink() == Path("releases/2")
    assert (device.state / "releases/1/models/signs/model.onnx").is_file()
    publisher.bundle("signs", version=5)
    publisher.add("models/signs")
    publisher.release()
    device.pull()
    assert sorted(path.name for path in (device.state / "releases").iterdir()) == ["2", "3"]


def test_what_is_removed_is_gone_from_the_device(device: Device, publisher: Publisher) -> None:
    publisher.bundle("spare")
    publisher.add("models/spare")
    publisher.release()
    assert "models/spare/model.onnx" in device.pull().names
    from edgeguard.delivery import targets

    targets.remove(publisher.repository, ["models/spare"], 2e9)
    publisher.release()
    assert set(device.pull().names) == NAMES
    assert not (device.state / "current/models/spare").exists()


def test_a_file_that_changed_on_the_device_is_brought_back(device: Device) -> None:
    device.pull()
    before = device.installed()
    (device.state / "current/models/signs/CARD.md").write_text("changed")
    pulled = device.pull()
    assert pulled.changed
    assert pulled.fetched == 1
    assert device.installed() == before


def test_a_file_that_was_put_beside_the_others_is_left_behind(device: Device) -> None:
    device.pull()
    (device.state / "current/models/signs/extra").write_text("mine")
    assert device.pull().changed
    assert set(device.installed()) == NAMES


def test_one_device_is_not_offered_what_is_for_another(
    publisher: Publisher, server: Server, device: Device
) -> None:
    from edgeguard.delivery import plan

    plan.set_holders(publisher.repository, "device-a", publisher.holders("other"), 2e9)
    plan.set_holders(publisher.repository, "device-b", publisher.holders("other"), 2e9)
    publisher.bundle("special")
    publisher.add("models/special", device="a")
    publisher.release("other")
    assert "models/special/model.onnx" in device.pull(server.address, device="a").names
    device.state = device.state.with_name("b")
    server.behaviour.asked.clear()
    assert set(device.pull(server.address, device="b").names) == NAMES
    assert not [path for path, _ in server.behaviour.asked if "device-a" in path or "devices/a" in path]
    device.state = device.state.with_name("c")
    assert set(device.pull(server.address).names) == NAMES


def test_what_a_device_has_of_its_own_stands_in_place_of_what_all_have(
    publisher: Publisher, device: Device
) -> None:
    from edgeguard.delivery import plan

    plan.set_holders(publisher.repository, "device-a", publisher.holders("other"), 2e9)
    publisher.bundle("signs", version=9)
    (publisher.folder / "models/signs/CARD.md").unlink()
    (publisher.folder / "models/signs/model.sig").unlink()
    from edgeguard.admission import sign_bundle

    sign_bundle(publisher.folder / "models/signs", publisher.folder / "keys/release.key")
    publisher.add("models/signs", device="a")
    publisher.release("other")
    assert set(device.pull(device="a").names) == NAMES - {"models/signs/CARD.md"}
    device.state = device.state.with_name("b")
    assert set(device.pull().names) == NAMES


def test_a_device_must_be_given_a_root_once_and_keeps_to_it(device: Device, tmp_path: Path) -> None:
    from edgeguard.delivery.pull import provision

    with pytest.raises(UsageError, match="give its root once"):
        provision(device.state, None)
    device.pull()
    assert provision(device.state, None) == device.publisher.first_root.read_bytes()
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(UsageError, match="given another root already"):
        provision(device.state, other)


def test_two_pulls_at_once_are_not_let_into_one_state(device: Device) -> None:
    from edgeguard.delivery.releases import Releases

    device.pull()
    with Releases(device.state).locked(), pytest.raises(UsageError, match="another pull"):
        device.pull()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_pipe_that_was_put_into_what_is_installed_is_replaced(device: Device, kind: str) -> None:
    device.pull()
    before = device.installed()
    place = device.state / "current/models/signs/CARD.md"
    place.unlink()
    place.symlink_to("/etc/hostname") if kind == "link" else os.mkfifo(place)
    assert device.pull().changed
    assert device.installed() == before
