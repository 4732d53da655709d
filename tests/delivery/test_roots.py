"""Keys that change: roots that are rotated, keys that are revoked, signatures that come one after another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from edgeguard.delivery import plan, publish
from edgeguard.errors import AdmissionError, UsageError
from tests.refusals import Refused

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher


def rotate(publisher: Publisher, *names: str, threshold: int = 2) -> None:
    plan.set_holders(
        publisher.repository, "root", publisher.holders(*names, threshold=threshold), time.time()
    )


def test_a_root_is_rotated_by_the_old_keys_and_the_new_ones_together(
    publisher: Publisher, device: Device
) -> None:
    device.pull()
    rotate(publisher, "root2", "root3", "other")
    assert publisher.repository.progress("root").missing == 2
    publisher.sign("root2")
    assert publisher.repository.progress("root").missing == 1
    publisher.sign("root3")  # two of the old and two of the new: both thresholds are met
    publisher.release()
    assert not device.pull().changed
    assert (device.state / "metadata/root_history/2.root.json").is_file()


@pytest.mark.parametrize("signers", [("root1", "root2"), ("models1", "other")])
def test_a_root_signed_by_one_side_only_is_not_released(
    publisher: Publisher, refused: Refused, signers: tuple[str, ...]
) -> None:
    rotate(publisher, "models1", "other")
    publisher.sign(*signers)
    assert publisher.repository.progress("root").missing == 2
    refused(publisher.release_staged, "below-threshold", "repo")
    assert publisher.repository.versions()["root"] == 1


def test_a_device_follows_every_root_that_it_missed(publisher: Publisher, device: Device) -> None:
    device.pull()
    for names in (("root2", "root3"), ("root3", "other"), ("other", "models1")):
        rotate(publisher, *names)
        publisher.release("root1", "root2", "root3", "other", "models1")
    assert publisher.repository.versions()["root"] == 4
    assert not device.pull().changed
    assert (device.state / "metadata/root.json").resolve().name == "4.root.json"


def test_a_device_that_was_given_only_the_first_root_follows_too(
    publisher: Publisher, device: Device
) -> None:
    rotate(publisher, "root2", "root3")
    publisher.release()
    rotate(publisher, "root3", "other")
    publisher.release("root3", "other")
    assert device.pull().changed


def test_a_root_is_missing_in_between_and_the_device_stops_at_the_old_one(
    publisher: Publisher, device: Device, refused: Refused
) -> None:
    plan.set_holders(publisher.repository, "timestamp", publisher.holders("online"), time.time())
    publisher.release()
    plan.set_holders(publisher.repository, "timestamp", publisher.holders("other"), time.time())
    publisher.sign("root1", "root2")
    publish.release(
        publisher.repository, [publisher.private("online"), publisher.private("other")], time.time()
    )
    (publisher.repo / "metadata/2.root.json").unlink()
    refused(device.pull, "below-threshold", "repository")


def test_a_root_below_its_threshold_is_refused(
    publisher: Publisher, device: Device, refused: Refused
) -> None:
    rotate(publisher, "root2", "root3")
    publisher.release()
    publisher.forge("root", lambda _: None, "root2")
    refused(device.pull, "below-threshold", "repository")


def test_signers_sign_one_after_another_and_are_told_what_is_missing(publisher: Publisher) -> None:
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    repository = publisher.repository
    (found,) = publish.sign(repository, [publisher.private("models3")])
    assert (found.role, found.signed, found.needed, found.missing) == ("models", 1, 2, 1)
    (found,) = publish.sign(repository, [publisher.private("models3")])
    assert found.missing == 1  # the same signer twice counts once
    with pytest.raises(AdmissionError, match="has 1 of 2 signatures"):
        publisher.release_staged()
    (found,) = publish.sign(repository, [publisher.private("models1")])
    assert found.missing == 0
    publisher.release_staged()
    assert repository.staged_roles() == []


def test_a_key_that_counts_for_nothing_signs_nothing(publisher: Publisher) -> None:
    with pytest.raises(UsageError, match="waits for signatures"):
        publisher.sign("models1")
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    with pytest.raises(UsageError, match="signs for none of models"):
        publisher.sign("policies")


def test_a_change_after_a_signature_takes_the_signature_away(publisher: Publisher) -> None:
    publisher.bundle("signs", version=4)
    publisher.add("models/signs")
    publisher.sign("models1", "models2")
    publisher.bundle("signs", version=5)
    publisher.add("models/signs")
    assert publisher.repository.progress("models").missing == 2


def test_what_a_revoked_key_signed_is_refused(publisher: Publisher, device: Device, refused: Refused) -> None:
    device.pull()
    installed = device.installed()
    new = publisher.holders("models2", "models3", "other", threshold=2)
    plan.set_holders(publisher.repository, "models", new, time.time())
    publisher.sign("root1", "root2", "models2")
    assert publisher.repository.progress("models").missing == 1
    with pytest.raises(UsageError, match="signs for none"):
        publisher.sign("models1")
    publisher.sign("other")
    publisher.release_staged()
    assert not device.pull().changed
    publisher.bundle("signs", version=7)
    publisher.add("models/signs")
    publisher.sign("models2", "models3")
    publisher.release_staged()
    publisher.forge("models", lambda _: None, "models1", "models2")
    publisher.relist("models")
    refused(device.pull, "below-threshold", "repository")
    assert device.installed() == installed


def test_the_role_of_a_device_can_be_taken_away(publisher: Publisher, device: Device) -> None:
    now = time.time()
    plan.set_holders(publisher.repository, "device-a", publisher.holders("other"), now)
    publisher.bundle("special")
    publisher.add("models/special", device="a")
    publisher.release("other")
    assert "models/special/model.onnx" in device.pull(device="a").names
    plan.remove_device(publisher.repository, "device-a", now)
    publisher.release()
    assert "models/special/model.onnx" not in device.pull(device="a").names


@pytest.mark.parametrize(
    ("role", "keys", "threshold", "said"),
    [
        ("models", (), 1, "needs 1 signatures of 0 keys"),
        ("models", ("models1",), 2, "needs 2 signatures of 1 keys"),
        ("models", ("models1",), 0, "needs 0 signatures"),
        ("models", ("models1", "models1"), 1, "the same key twice"),
        ("cameras", ("models1",), 1, "there is no role `cameras`"),
        ("device-../x", ("models1",), 1, "cannot name a device"),
    ],
)
def test_holders_that_cannot_serve_are_not_staged(
    publisher: Publisher, role: str, keys: tuple[str, ...], threshold: int, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        plan.set_holders(publisher.repository, role, publisher.holders(*keys, threshold=threshold), 2e9)
    assert publisher.repository.staged_roles() == []
