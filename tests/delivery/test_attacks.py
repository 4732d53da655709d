"""Repositories that lie: each is refused with its reason, and what is installed stays as it was."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import MetaFile

from edgeguard.admission import MemoryFloor
from edgeguard.delivery import publish
from tests.delivery.builders_delivery import rewrite_json
from tests.refusals import Refused

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher

MODELS = ("models1", "models2")


Unchanged = Callable[..., None]


@pytest.fixture
def snapshot_of(publisher: Publisher, tmp_path: Path) -> Callable[[str], Path]:
    """Keep a copy of the repository as it is now."""

    def keep(name: str) -> Path:
        return Path(shutil.copytree(publisher.repo, tmp_path / name))

    return keep


def renewed(publisher: Publisher, version: int) -> None:
    publisher.bundle("signs", version=version)
    publisher.add("models/signs")
    publisher.release()


def put(publisher: Publisher, copy: Path) -> None:
    shutil.rmtree(publisher.repo)
    shutil.copytree(copy, publisher.repo)


# --- signatures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "signers", [(), ("models1",), ("models1", "policies"), ("policies", "online", "root1")]
)
def test_metadata_below_its_threshold(
    device: Device, publisher: Publisher, unchanged: Unchanged, signers: tuple[str, ...]
) -> None:
    device.pull()
    renewed(publisher, 4)
    publisher.forge("models", lambda _: None, *signers)
    publisher.relist("models")
    unchanged("below-threshold")


@pytest.mark.parametrize("role", ["targets", "models", "policies"])
def test_a_role_that_signed_with_the_online_key_only(
    device: Device, publisher: Publisher, unchanged: Unchanged, role: str
) -> None:
    publisher.forge(role, lambda _: None, "online")
    publisher.relist(role)
    unchanged("below-threshold")


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_a_snapshot_or_timestamp_by_somebody_else(
    device: Device, publisher: Publisher, unchanged: Unchanged, role: str
) -> None:
    publisher.forge(role, lambda _: None, "other")
    # a signature is 70 to 72 bytes long, so that the whole may be too long as well
    unchanged("digest-mismatch|too-large" if role == "snapshot" else "below-threshold")


def test_a_timestamp_that_was_changed_without_a_key(
    device: Device, publisher: Publisher, unchanged: Unchanged
) -> None:
    device.pull()
    place = publisher.repo / "metadata/timestamp.json"
    rewrite_json(place, lambda v: v["signed"].update(version=99))
    unchanged("below-threshold")


@pytest.mark.parametrize("name", ["1.snapshot.json", "1.targets.json", "1.models.json", "1.policies.json"])
@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_metadata_with_one_changed_byte(
    device: Device, publisher: Publisher, unchanged: Unchanged, name: str, where: float
) -> None:
    place = publisher.repo / "metadata" / name
    data = bytearray(place.read_bytes())
    data[int(where * len(data))] ^= 1
    place.write_bytes(data)
    unchanged("digest-mismatch")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 9000,
        b'{"signed": {}, "signatures": []}',
        b'{"signed": 1e999}',
    ],
)
def test_a_timestamp_that_is_none(
    device: Device, publisher: Publisher, unchanged: Unchanged, data: bytes
) -> None:
    device.pull()
    (publisher.repo / "metadata/timestamp.json").write_bytes(data)
    unchanged("metadata-invalid")


def test_the_metadata_of_one_role_in_the_place_of_another(
    device: Device, publisher: Publisher, unchanged: Unchanged
) -> None:
    metadata = publisher.repo / "metadata"
    shutil.copyfile(metadata / "1.snapshot.json", metadata / "timestamp.json")
    unchanged("metadata-invalid")


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_repository_that_is_frozen_expires(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    device.pull()
    publish.renew_timestamp(publisher.repository, [publisher.private("online")], time.time() - 31 * 86400)
    unchanged("expired")


@pytest.mark.parametrize("role", ["targets", "models", "policies", "snapshot"])
def test_an_expired_role(publisher: Publisher, device: Device, unchanged: Unchanged, role: str) -> None:
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    keys = {
        "targets": ("root1", "root2"),
        "models": MODELS,
        "policies": ("policies",),
        "snapshot": ("online",),
    }
    publisher.forge(role, lambda signed: setattr(signed, "expires", past), *keys[role])
    if role == "snapshot":
        data = (publisher.repo / "metadata/1.snapshot.json").read_bytes()
        meta = MetaFile.from_data(1, data, ["sha256"])
        publisher.forge("timestamp", lambda signed: setattr(signed, "snapshot_meta", meta), "online")
    else:
        publisher.relist(role)
    unchanged("expired")


def test_a_clock_that_was_turned_back_does_not_bring_an_expired_repository_back(
    publisher: Publisher, device: Device, refused: Refused
) -> None:
    late = time.time() + 40 * 86400
    refused(lambda: device.pull(now=late), "expired", "timestamp.json")
    assert device.installed() == {}


# --- old versions -------------------------------------------------------------------------------------------------


def test_an_older_repository_is_refused_by_a_device_that_saw_the_newer_one(
    publisher: Publisher, device: Device, snapshot_of: Callable[[str], Path], unchanged: Unchanged
) -> None:
    old = snapshot_of("old")
    renewed(publisher, 4)
    device.pull()
    put(publisher, old)
    unchanged("rollback")


def test_an_older_snapshot_under_a_newer_timestamp(
    publisher: Publisher, device: Device, snapshot_of: Callable[[str], Path], unchanged: Unchanged
) -> None:
    old = snapshot_of("old")
    renewed(publisher, 4)
    device.pull()
    meta = MetaFile.from_data(1, (old / "metadata/1.snapshot.json").read_bytes(), ["sha256"])

    def change(signed: Any) -> None:
        signed.version += 1
        signed.snapshot_meta = meta

    publisher.forge("timestamp", change, "online")
    unchanged("rollback")


def test_older_targets_under_a_newer_snapshot(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    renewed(publisher, 4)
    device.pull()
    (publisher.repo / "metadata/2.models.json").unlink()
    publisher.relist("models")  # version 1 of `models` again, in a newer snapshot with the online key
    unchanged("rollback")


def test_old_and_new_roles_are_not_mixed(publisher: Publisher, device: Device, unchanged: Unchanged) -> None:
    device.pull()
    renewed(publisher, 4)
    metadata = publisher.repo / "metadata"
    shutil.copyfile(metadata / "1.models.json", metadata / "2.models.json")
    unchanged("digest-mismatch|too-large")


def test_a_role_that_left_the_snapshot(publisher: Publisher, device: Device, unchanged: Unchanged) -> None:
    device.pull()
    publisher.relist()

    def change(signed: Any) -> None:
        del signed.meta["models.json"]

    publisher.forge("snapshot", change, "online")
    data = (publisher.repo / "metadata/2.snapshot.json").read_bytes()

    def point(signed: Any) -> None:
        signed.snapshot_meta = MetaFile.from_data(2, data, ["sha256"])

    publisher.forge("timestamp", point, "online")
    unchanged("metadata-invalid")


def test_a_wiped_device_takes_an_old_repository_unless_its_floor_was_kept(
    publisher: Publisher, device: Device, snapshot_of: Callable[[str], Path], refused: Refused
) -> None:
    old = snapshot_of("old")
    renewed(publisher, 4)
    device.pull()
    device.floor = MemoryFloor({"primary": 4, "policy": 1})  # what `edgeguard run` remembered of it
    put(publisher, old)
    refused(device.pull, "rollback", "repository")
    shutil.rmtree(device.state)  # and with it all that TUF knows
    refused(device.pull, "rollback", "models/signs/edgeguard.json")
    assert device.installed() == {}
    device.floor = None
    assert device.pull().changed  # as python-tuf alone would have it: old, signed and not expired


def test_an_older_policy_is_refused_by_the_floor(
    publisher: Publisher, device: Device, refused: Refused
) -> None:
    device.floor = MemoryFloor({"policy": 2})
    refused(device.pull, "rollback", "policies/gate.yaml")
