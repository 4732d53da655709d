"""Files and names that lie: each is refused with its reason, and what is installed stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from tuf.api.metadata import TargetFile

if TYPE_CHECKING:
    from tests.delivery.builders_delivery import Device, Publisher

Unchanged = Callable[..., None]
MODELS = ("models1", "models2")


@pytest.mark.parametrize("name", ["models/signs/model.onnx", "models/signs/CARD.md", "policies/gate.yaml"])
def test_a_target_that_was_changed(
    publisher: Publisher, device: Device, unchanged: Unchanged, name: str
) -> None:
    place = publisher.target(name)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    unchanged("digest-mismatch")


def test_a_target_that_is_longer_than_was_signed(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    place = publisher.target("models/signs/model.onnx")
    place.write_bytes(place.read_bytes() + b"more")
    unchanged("too-large")


def test_a_target_that_is_shorter_than_was_signed(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    place = publisher.target("models/signs/model.onnx")
    place.write_bytes(place.read_bytes()[:-1])
    unchanged("digest-mismatch")


def test_all_keys_of_the_repository_do_not_make_a_bundle_admissible(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    device.pull()
    evil = publisher.folder / "models/signs/model.onnx"
    place = publisher.repo / "targets/models/signs"
    data = evil.read_bytes() + b"\x00"
    target = TargetFile.from_data("models/signs/model.onnx", data, ["sha256"])
    (place / f"{target.hashes['sha256']}.model.onnx").write_bytes(data)

    def change(signed: Any) -> None:
        signed.targets["models/signs/model.onnx"] = target
        signed.version += 1

    publisher.forge("models", change, *MODELS)
    (publisher.repo / "metadata/1.models.json").rename(publisher.repo / "metadata/2.models.json")
    publisher.relist("models")
    unchanged("digest-mismatch", "models/signs/model.onnx")


def test_a_bundle_by_a_signer_that_the_policy_does_not_name(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    device.pull()
    publisher.bundle("signs", key="other")
    publisher.add_untrusted("models/signs", "other")
    publisher.release()
    unchanged("unknown-signer", "models/signs/model.sig")


def test_a_bundle_that_no_policy_names_is_admitted_too(
    publisher: Publisher, device: Device, unchanged: Unchanged
) -> None:
    publisher.bundle("spare", key="other")
    publisher.add_untrusted("models/spare", "other")
    publisher.release()
    unchanged("unknown-signer", "models/spare/model.sig")


@pytest.mark.parametrize(
    ("name", "reason", "path"),
    [
        ("models/signs/../../../x", "name-unsafe", "offer"),
        ("models/../x", "name-unsafe", "offer"),
        ("models/signs/./x", "name-unsafe", "offer"),
        ("models/signs//x", "name-unsafe", "offer"),
        ("models/signs/a\\b", "name-unsafe", "offer"),
        ("models/signs/a\x00b", "name-unsafe", "offer"),
        ("models/signs/a\nb", "name-unsafe", "offer"),
        ("models/signs/" + "a" * 300, "name-unsafe", "offer"),
        ("models/signs/MODEL.onnx", "name-duplicate", "offer"),
        ("/etc/passwd", "signer-not-allowed", "/etc/passwd"),
        ("../x", "signer-not-allowed", "../x"),
        ("policies/gate.yaml", "signer-not-allowed", "policies/gate.yaml"),
        ("keys/mine.pub", "signer-not-allowed", "keys/mine.pub"),
        ("devices/a/models/x/y", "signer-not-allowed", "devices/a/models/x/y"),
        ("models/loose", "signer-not-allowed", "models/loose"),
        ("models/a/b/c/d/e/f/g/h/i/j/k/l", "signer-not-allowed", "k/l"),
    ],
)
def test_a_name_that_leaves_its_place(
    publisher: Publisher, device: Device, unchanged: Unchanged, name: str, reason: str, path: str
) -> None:
    def change(signed: Any) -> None:
        signed.targets[name] = TargetFile.from_data(name, b"x", ["sha256"])

    publisher.forge("models", change, *MODELS)
    publisher.relist("models")
    if name.startswith("policies/gate"):  # it is in the other role too, whose word counts for it
        publisher.forge("policies", lambda signed: signed.targets.pop(name), "policies")
        publisher.relist("policies")
    unchanged(reason, path)


def test_a_repository_that_offers_nothing(publisher: Publisher, device: Device, unchanged: Unchanged) -> None:
    for role, keys in (("models", MODELS), ("policies", ("policies",))):
        publisher.forge(role, lambda signed: signed.targets.clear(), *keys)
    publisher.relist("models", "policies")
    unchanged("file-missing", "metadata")


def test_more_files_than_a_device_takes(publisher: Publisher, device: Device, unchanged: Unchanged) -> None:
    def change(signed: Any) -> None:
        for i in range(1001):
            signed.targets[f"models/many/{i}"] = TargetFile.from_data(f"models/many/{i}", b"x", ["sha256"])

    publisher.forge("models", change, *MODELS)
    publisher.relist("models")
    unchanged("too-large", "offer")


def test_a_file_that_would_fill_any_disk(publisher: Publisher, device: Device, unchanged: Unchanged) -> None:
    def change(signed: Any) -> None:
        signed.targets["models/signs/model.onnx"].length = 1 << 60

    publisher.forge("models", change, *MODELS)
    publisher.relist("models")
    unchanged("too-large", "models/signs/model.onnx")


@pytest.mark.parametrize(
    "hashes",
    [
        {"md5": "0" * 32},
        {"sha256": "../../../etc/passwd"},
        {"sha256": "A" * 64},
        {"sha256": "0" * 64, "sha1": "x"},
    ],
)
def test_a_file_that_is_not_named_by_its_sha256_alone(
    publisher: Publisher, device: Device, unchanged: Unchanged, hashes: dict[str, str]
) -> None:
    def change(signed: Any) -> None:
        signed.targets["models/signs/model.onnx"].hashes = hashes

    publisher.forge("models", change, *MODELS)
    publisher.relist("models")
    unchanged("metadata-invalid", "models/signs/model.onnx")


@pytest.mark.parametrize("name", [7, True])
def test_a_role_whose_name_is_no_name(
    publisher: Publisher, device: Device, unchanged: Unchanged, name: Any
) -> None:
    def change(signed: Any) -> None:
        role = signed.delegations.roles.pop("models")
        role.name = name
        signed.delegations.roles[name] = role

    publisher.forge("targets", change, "root1", "root2")
    publisher.relist("targets")
    unchanged("metadata-invalid")
