"""Files that change while they are admitted: what is returned was verified, whatever happens on the disk."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from edgeguard.admission import admit_bundle, admit_file, sign_file, store
from edgeguard.admission.bundle import Content
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
