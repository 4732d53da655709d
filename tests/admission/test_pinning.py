"""A bundle that the policy pins by its files' names and contents: that one, whoever signed it, or nobody."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from edgeguard.admission import AdmittedModel, Demands, Trust, admit_bundle
from edgeguard.admission.trust import Moment
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, manifest, sha256, write_files
from tests.refusals import Refused


def pin_of(files: dict[str, bytes]) -> str:
    """What `sha256sum` says of the files, in order, and then of what it said."""
    ordered = sorted(files, key=lambda name: name.split("/"))
    return sha256("".join(f"{sha256(files[name])}  {name}\n" for name in ordered).encode())


def versioned(version: int) -> bytes:
    """A manifest of this security version."""
    return manifest(lambda m: m.update(security_version=version))


def pinned(folder: Path, pin: str, **asked: Any) -> AdmittedModel:
    return admit_bundle(folder, Trust(), Demands(pin=pin, **asked), now=Moment(0.0))


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    return write_files(tmp_path / "bundle", good_files())


@pytest.mark.parametrize("signed", [False, True])
def test_only_the_pinned_bundle_is_admitted_whoever_signed_it(
    signed: bool, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    for name, version in (("mine", 1), ("other", 2)):
        files = {
            **good_files(),
            "edgeguard.json": versioned(version),
        }
        write_files(tmp_path / name, {**files, **({"model.sig": forge.sign_files(files)} if signed else {})})
    mine = {**good_files(), "edgeguard.json": versioned(1)}
    pin = pin_of(mine)
    admitted = admit_bundle(tmp_path / "mine", Trust(), Demands(pin=pin))
    assert (admitted.signer, admitted.identity) == ("", "")
    assert admitted.model == good_files()["model.onnx"]
    refused(lambda: pinned(tmp_path / "other", pin), "pin-mismatch", "other")


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ["model.onnx", "CARD.md", "edgeguard.json", "new.txt"])
def test_a_changed_or_added_file_is_refused(
    name: str, signed: bool, unsigned: Path, forge: Forge, refused: Refused
) -> None:
    pin = pin_of(good_files())
    if signed:
        (unsigned / "model.sig").write_bytes(forge.sign_files(good_files()))
    pinned(unsigned, pin)
    (unsigned / name).write_bytes(good_files().get(name, b"") + b" ")
    refused(lambda: pinned(unsigned, pin), "pin-mismatch", "bundle")


def test_files_cannot_take_each_others_place(tmp_path: Path, refused: Refused) -> None:
    """The root digest is over digests in order: `m.1` and `m.2` could become `m.2` and `m.3` unseen."""
    files = {**good_files(), "edgeguard.json": manifest(lambda m: m.update(file="m.2")), "m.1": b"weak"}
    files["m.2"] = files.pop("model.onnx")
    folder = write_files(tmp_path / "bundle", files)
    assert pinned(folder, pin_of(files)).model == good_files()["model.onnx"]
    (folder / "m.2").rename(folder / "m.3")
    (folder / "m.1").rename(folder / "m.2")
    refused(lambda: pinned(folder, pin_of(files)), "pin-mismatch", "bundle")


def test_a_signature_is_not_even_read(unsigned: Path) -> None:
    (unsigned / "model.sig").write_text("{}")
    (unsigned / "model.sig.ml-dsa-65").write_text("{}")
    assert pinned(unsigned, pin_of(good_files())).signer == ""


@pytest.mark.parametrize("name", ["a\nb", "MODEL.ONNX", "back\\slash"])
def test_names_are_held_to_the_same_rules(name: str, unsigned: Path) -> None:
    (unsigned / name).write_text("x")
    with pytest.raises(AdmissionError, match=r"name-unsafe|name-duplicate"):
        pinned(unsigned, pin_of({**good_files(), name: b"x"}))


def test_everything_else_is_still_asked_of_it(unsigned: Path, refused: Refused) -> None:
    pin = pin_of(good_files())
    refused(lambda: pinned(unsigned, pin, security_version=4), "rollback", "edgeguard.json")
    refused(lambda: pinned(unsigned, pin, role="filter"), "wrong-role", "edgeguard.json")
    refused(lambda: pinned(unsigned, pin, revoked=frozenset({pin})), "revoked", "bundle")
    root = pinned(unsigned, pin).digest
    refused(lambda: pinned(unsigned, pin, revoked=frozenset({root})), "revoked", "bundle")


def test_a_bundle_without_a_manifest_takes_the_one_that_is_given(unsigned: Path, refused: Refused) -> None:
    given = (unsigned / "edgeguard.json").read_bytes()
    (unsigned / "edgeguard.json").unlink()
    files = {name: data for name, data in good_files().items() if name != "edgeguard.json"}
    assert pinned(unsigned, pin_of(files), manifest=given).manifest.classes
    refused(lambda: pinned(unsigned, pin_of(files)), "file-missing", "edgeguard.json")
    refused(lambda: pinned(unsigned, pin_of(files), manifest=b"{"), "manifest-invalid", "edgeguard.json")


def test_a_bundle_with_a_manifest_of_its_own_takes_no_other(unsigned: Path, refused: Refused) -> None:
    other = manifest(lambda m: m.update(name="other"))
    refused(lambda: pinned(unsigned, pin_of(good_files()), manifest=other), "file-extra", "edgeguard.json")


def test_a_pin_lets_no_link_in(unsigned: Path, tmp_path: Path, refused: Refused) -> None:
    shutil.copy(unsigned / "CARD.md", tmp_path / "elsewhere")
    (unsigned / "CARD.md").unlink()
    (unsigned / "CARD.md").symlink_to(tmp_path / "elsewhere")
    refused(lambda: pinned(unsigned, pin_of(good_files())), "link", "CARD.md")


def test_an_empty_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(AdmissionError):
        pinned(tmp_path, "0" * 64)
