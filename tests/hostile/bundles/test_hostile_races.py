"""Files that change while they are admitted: what is returned was verified, whatever happens on the disk."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import admit_bundle, admit_file, sign_file, store
from edgeguard.admission.bundle import Content
from edgeguard.admission.reading import BESIDE
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, good_model, manifest


def test_files_swapped_right_after_they_were_read_do_not_matter(
    folder: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.read_files

    def read_then_swap(descriptor: int, root: str, names: list[str]) -> dict[str, Content]:
        contents = real(descriptor, root, names)
        (folder / "model.onnx").write_bytes(b"evil")
        (folder / "edgeguard.json").write_bytes(manifest(lambda m: m.update(classes=["stop", "none"])))
        return contents

    monkeypatch.setattr(store, "read_files", read_then_swap)
    admitted = admit_bundle(folder, forge.signers)
    assert admitted.model == good_model()
    assert admitted.manifest.classes == ("none", "stop")


def test_files_swapped_right_before_they_are_read_are_refused(
    folder: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.list_files

    def list_then_swap(descriptor: int, root: str) -> list[str]:
        names = real(descriptor, root)
        (folder / "model.onnx").unlink()
        (folder / "model.onnx").symlink_to("CARD.md")
        return names

    monkeypatch.setattr(store, "list_files", list_then_swap)
    with pytest.raises(AdmissionError) as caught:
        admit_bundle(folder, forge.signers)
    assert (caught.value.reason, caught.value.path) == ("link", f"{folder}/model.onnx")


def test_folder_swapped_while_it_is_admitted_stays_the_one_that_was_opened(
    folder: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store.read_signature

    def read_then_swap(descriptor: int, root: str, name: str) -> bytes:
        data = real(descriptor, root, name)
        folder.rename(folder.with_name("aside"))
        folder.mkdir()
        (folder / "model.onnx").write_bytes(b"evil")
        return data

    monkeypatch.setattr(store, "read_signature", read_then_swap)
    assert admit_bundle(folder, forge.signers).model == good_model()


def test_a_racing_writer_gets_nothing_else_admitted(folder: Path, forge: Forge) -> None:
    """A thread exchanges the model as fast as it can: each admission gives the signed bytes or a refusal."""
    stop = threading.Event()
    evil = bytes(len(good_model()))

    def race() -> None:
        while not stop.is_set():
            for content in (evil, good_files()["model.onnx"]):
                (folder / "next").write_bytes(content)
                (folder / "next").replace(folder / "model.onnx")

    writer = threading.Thread(target=race)
    writer.start()
    try:
        outcomes = [_outcome(folder, forge) for _ in range(150)]
    finally:
        stop.set()
        writer.join()
    assert set(outcomes) <= {"admitted", "digest-mismatch", "file-extra", "file-missing", "unreadable"}


def _outcome(folder: Path, forge: Forge) -> str:
    try:
        assert admit_bundle(folder, forge.signers).model == good_model()
    except AdmissionError as error:
        return error.reason
    return "admitted"


def test_a_policy_swapped_after_it_was_read_is_the_one_that_was_signed(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("strict")
    sign_file(policy, forge.private_path)
    real = store.read_signature

    def swap(descriptor: int, root: str, name: str) -> bytes:
        policy.write_text("lenient")
        return real(descriptor, root, name)

    monkeypatch.setattr(store, "read_signature", swap)
    assert admit_file(policy, forge.signers).data == b"strict"


_LARGE = random.Random(6).randbytes(2 * BESIDE + 4321)
"""A file that is read in pieces and hashed by another thread meanwhile."""


def _overwrite(path: Path) -> None:
    """Write other bytes into the file as it lies there, and the right ones again."""
    with path.open("r+b") as file:
        for data in (bytes(BESIDE), _LARGE[:BESIDE]):
            file.seek(0)
            file.write(data)


def _truncate(path: Path) -> None:
    os.truncate(path, len(_LARGE) - 4321)
    with path.open("r+b") as file:
        file.seek(len(_LARGE) - 4321)
        file.write(_LARGE[-4321:])


def _extend(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")
    os.truncate(path, len(_LARGE))


def _exchange(path: Path) -> None:
    for data in (bytes(len(_LARGE)), _LARGE):
        path.with_name("next").write_bytes(data)
        path.with_name("next").replace(path)


def _overwrite_through_a_hard_link(path: Path) -> None:
    other = path.with_name("other")
    if not other.exists():
        os.link(path, other)
    _overwrite(other)


@pytest.mark.parametrize(
    "change", [_overwrite, _truncate, _extend, _exchange, _overwrite_through_a_hard_link]
)
def test_a_large_file_that_is_written_to_while_it_is_read_is_what_was_signed_or_refused(
    change: Callable[[Path], None], tmp_path: Path, forge: Forge
) -> None:
    path = tmp_path / "calibration.bin"
    path.write_bytes(_LARGE)
    sign_file(path, forge.private_path)
    stop = threading.Event()

    def race() -> None:
        while not stop.is_set():
            change(path)

    writer = threading.Thread(target=race)
    writer.start()
    try:
        outcomes = [_file_outcome(path, forge) for _ in range(25)]
    finally:
        stop.set()
        writer.join()
    assert set(outcomes) <= {"admitted", "digest-mismatch", "unreadable"}


def _file_outcome(path: Path, forge: Forge) -> str:
    try:
        assert admit_file(path, forge.signers).data == _LARGE
    except AdmissionError as error:
        return error.reason
    return "admitted"


def test_bytes_written_to_the_file_after_a_piece_was_read_are_not_in_what_was_read(
    tmp_path: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is read once: what is hashed is what is returned, even where the file is new behind the reader."""
    path = tmp_path / "calibration.bin"
    path.write_bytes(_LARGE)
    sign_file(path, forge.private_path)
    real = os.preadv

    def read_then_overwrite(file: int, parts: list[memoryview], at: int) -> int:
        count = real(file, parts, at)
        with path.open("r+b") as writer:
            writer.seek(at)
            writer.write(bytes(count))
        return count

    monkeypatch.setattr(os, "preadv", read_then_overwrite)
    assert admit_file(path, forge.signers).data == _LARGE
    assert path.read_bytes() == bytes(len(_LARGE))
