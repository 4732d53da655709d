"""Hostile folders: what lies on the disk is not what was signed, or is not a file at all."""

from __future__ import annotations

import os
import socket
import stat
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeguard.admission import Demands, admit_bundle, admit_file, sign_bundle, sign_file, store
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, good_files, manifest, resource, statement_of, write_files
from tests.refusals import Refused


def _replace(name: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    """Take a file away and put something else in its place."""

    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def _link_to_copy(path: Path) -> None:
    """Even a link to the very bytes that were signed is refused: where it points can change after the check."""
    copy = path.parent.parent / "copy.onnx"
    copy.write_bytes(good_files()["model.onnx"])
    path.symlink_to(copy)


def _socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path may be only 107 bytes long
    try:
        server.bind(path.name)
    finally:
        os.chdir(here)
        server.close()


def _device(path: Path) -> None:
    """Endless zeros; only root may make one, so others see a pipe."""
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        os.mkfifo(path)


def _huge(path: Path) -> None:
    """A sparse file: 3 GB of nothing that take no room on the disk."""
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)


def _many(folder: Path) -> None:
    for i in range(1100):
        (folder / f"{i}").touch()


def _many_folders(folder: Path) -> None:
    for i in range(1100):
        (folder / f"{i}").mkdir()


CASES: dict[str, tuple[str, str, Callable[[Path], object]]] = {
    "no signature": ("signature-missing", "model.sig", lambda f: (f / "model.sig").unlink()),
    "model missing": ("file-missing", "model.onnx", lambda f: (f / "model.onnx").unlink()),
    "card missing": ("file-missing", "CARD.md", lambda f: (f / "CARD.md").unlink()),
    "manifest missing": ("file-missing", "edgeguard.json", lambda f: (f / "edgeguard.json").unlink()),
    "extra file": ("file-extra", "extra.bin", lambda f: (f / "extra.bin").touch()),
    "extra hidden file": ("file-extra", ".gitignore", lambda f: (f / ".gitignore").touch()),
    "extra file in a folder": ("file-extra", "a/b", lambda f: write_files(f, {"a/b": b""})),
    "many files": ("too-large", "bundle", _many),
    "many empty folders": ("too-large", "bundle", _many_folders),
    "folders without end": ("too-large", "d", lambda f: (f / "/".join("d" * 30)).mkdir(parents=True)),
    "signature is a link": (
        "link",
        "model.sig",
        lambda f: (f / "model.sig").symlink_to((f / "model.sig").rename(f.parent / "s")),
    ),
    "model is a link": ("link", "model.onnx", _replace("model.onnx", _link_to_copy)),
    "model is a broken link": ("link", "model.onnx", _replace("model.onnx", lambda p: p.symlink_to("none"))),
    "extra link": ("link", "extra", lambda f: (f / "extra").symlink_to("model.onnx")),
    "model is a pipe": ("not-a-file", "model.onnx", _replace("model.onnx", os.mkfifo)),
    "model is a socket": ("not-a-file", "model.onnx", _replace("model.onnx", _socket)),
    "model is a folder": ("file-missing", "model.onnx", _replace("model.onnx", lambda p: p.mkdir())),
    "signature is a folder": ("not-a-file", "model.sig", _replace("model.sig", lambda p: p.mkdir())),
    "signature is a pipe": ("not-a-file", "model.sig", _replace("model.sig", os.mkfifo)),
    "model is huge": ("too-large", "model.onnx", _replace("model.onnx", _huge)),
    "signature is huge": ("too-large", "model.sig", _replace("model.sig", _huge)),
    "model is a hard link to another file": (
        "digest-mismatch",
        "model.onnx",
        _replace("model.onnx", lambda p: os.link(p.with_name("CARD.md"), p)),
    ),
    "extra hard link": (
        "file-extra",
        "other.onnx",
        lambda f: os.link(f / "model.onnx", f / "other.onnx"),
    ),
    "signature is a hard link to another file": (
        "signature-malformed",
        "model.sig",
        _replace("model.sig", lambda p: os.link(p.with_name("model.onnx"), p)),
    ),
    "model is a device": ("not-a-file", "model.onnx", _replace("model.onnx", _device)),
    "model is empty": ("digest-mismatch", "model.onnx", lambda f: (f / "model.onnx").write_bytes(b"")),
    "model has one byte more": (
        "digest-mismatch",
        "model.onnx",
        lambda f: (f / "model.onnx").write_bytes(good_files()["model.onnx"] + b"\0"),
    ),
    "files exchanged": (
        "digest-mismatch",
        "CARD.md",
        lambda f: (f / "CARD.md").write_bytes(good_files()["edgeguard.json"]),
    ),
    "manifest of a newer version": (
        "digest-mismatch",
        "edgeguard.json",
        lambda f: (f / "edgeguard.json").write_bytes(manifest(lambda m: m.update(security_version=9))),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_folder_is_refused_with_its_reason(
    case: str, folder: Path, forge: Forge, refused: Refused
) -> None:
    reason, path, change = CASES[case]
    change(folder)
    refused(lambda: admit_bundle(folder, forge.signers), reason, path)


def test_a_hard_link_to_what_was_signed_is_as_good_as_the_file(folder: Path, forge: Forge) -> None:
    """Its bytes are read once and verified: other names of the file change nothing, and some systems share files."""
    os.link(folder / "model.onnx", folder.parent / "other name")
    assert admit_bundle(folder, forge.signers).model == good_files()["model.onnx"]
    (folder.parent / "other name").write_bytes(b"evil")
    with pytest.raises(AdmissionError, match="digest-mismatch"):
        admit_bundle(folder, forge.signers)


def test_folder_that_is_not_there_is_refused(tmp_path: Path, forge: Forge, refused: Refused) -> None:
    refused(lambda: admit_bundle(tmp_path / "none", forge.signers), "file-missing", "none")


def test_file_in_place_of_the_folder_is_refused(folder: Path, forge: Forge, refused: Refused) -> None:
    refused(lambda: admit_bundle(folder / "CARD.md", forge.signers), "not-a-file", "CARD.md")


def test_signed_file_behind_a_linked_folder_is_refused(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = {**good_files(), "extra/notes.txt": b"notes"}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    assert admit_bundle(folder, forge.signers).model
    (folder / "extra").rename(tmp_path / "elsewhere")
    (folder / "extra").symlink_to(tmp_path / "elsewhere")
    refused(lambda: admit_bundle(folder, forge.signers), "link", "extra")
    with store.open_folder(str(folder)) as descriptor:
        refused(lambda: store.read_file(descriptor, "bundle", "extra/notes.txt", 100), "not-a-file", "extra")


def test_a_file_hidden_by_signed_ignore_paths_is_still_extra(
    folder: Path, forge: Forge, refused: Refused
) -> None:
    statement = statement_of([resource(n, d) for n, d in sorted(good_files().items())])
    statement["predicate"]["serialization"]["ignore_paths"] = ["hidden", "."]
    (folder / "model.sig").write_bytes(forge.sign(statement))
    assert admit_bundle(folder, forge.signers).model
    (folder / "hidden").touch()
    refused(lambda: admit_bundle(folder, forge.signers), "file-extra", "hidden")


def test_file_names_that_are_no_text_are_refused_in_printable_words(folder: Path, forge: Forge) -> None:
    (Path(os.fsdecode(os.fsencode(folder) + b"/\xff\x1b[2J"))).touch()
    with pytest.raises(AdmissionError) as caught:
        admit_bundle(folder, forge.signers)
    assert caught.value.reason == "file-extra"
    assert str(caught.value).isprintable()


def test_normal_forms_of_a_name_are_two_files(tmp_path: Path, forge: Forge, refused: Refused) -> None:
    """Signed as NFC but stored as NFD: on this file system that is another file."""
    files = {**good_files(), "r\u00e9sum\u00e9.txt": b"x"}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    assert admit_bundle(folder, forge.signers).model
    (folder / "r\u00e9sum\u00e9.txt").rename(folder / unicodedata.normalize("NFD", "r\u00e9sum\u00e9.txt"))
    refused(lambda: admit_bundle(folder, forge.signers), "file-missing", ".txt")


def test_older_security_version_is_refused(folder: Path, forge: Forge, refused: Refused) -> None:
    assert admit_bundle(folder, forge.signers, Demands(security_version=3)).model
    refused(
        lambda: admit_bundle(folder, forge.signers, Demands(security_version=4)), "rollback", "edgeguard.json"
    )


def test_unreadable_file_is_refused(
    folder: Path, forge: Forge, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def deny(path: str, *arguments: int, **options: int) -> int:
        if path == "model.onnx":
            raise PermissionError(13, os.strerror(13))
        return real(path, *arguments, **options)

    monkeypatch.setattr("edgeguard.admission.store.os.open", deny)
    refused(lambda: admit_bundle(folder, forge.signers), "unreadable", "model.onnx")


def test_input_output_errors_are_refusals(
    folder: Path, forge: Forge, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr("edgeguard.admission.store.os.read", fail)
    refused(lambda: admit_bundle(folder, forge.signers), "unreadable", "model.sig")


def test_folder_that_cannot_be_listed_is_refused(
    folder: Path, forge: Forge, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> object:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr("edgeguard.admission.store.os.scandir", fail)
    refused(lambda: admit_bundle(folder, forge.signers), "unreadable", folder.name)
    with pytest.raises(AdmissionError, match=r"unreadable"):
        sign_bundle(folder, forge.private_path)


@pytest.mark.parametrize("name", ["a\0b", "half \ud800"])
def test_path_that_no_file_can_have_is_refused(
    name: str, folder: Path, forge: Forge, refused: Refused
) -> None:
    refused(lambda: admit_bundle(folder / name, forge.signers), "file-missing", "")
    refused(lambda: admit_file(folder / name, forge.signers), "file-missing", "")
    refused(lambda: admit_file(folder / name / "policy.yaml", forge.signers), "file-missing", "")


def test_file_that_grows_while_it_is_read_is_refused(
    folder: Path, forge: Forge, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat

    def earlier(descriptor: int) -> os.stat_result:
        values = list(real(descriptor))
        values[6] -= 1
        return os.stat_result(values)

    monkeypatch.setattr("edgeguard.admission.store.os.fstat", earlier)
    refused(lambda: admit_bundle(folder, forge.signers), "unreadable", "model.sig")


def test_short_reads_are_put_together(folder: Path, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.read
    monkeypatch.setattr("edgeguard.admission.store.os.read", lambda file, size: real(file, min(size, 7)))
    assert admit_bundle(folder, forge.signers).model == good_files()["model.onnx"]


class TestSingleFiles:
    """A policy or a calibration with its signature beside it."""

    @pytest.fixture
    def policy(self, tmp_path: Path, forge: Forge) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text("edgeguard: 1\n")
        sign_file(path, forge.private_path)
        return path

    def test_unsigned_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        policy.with_name("policy.yaml.sig").unlink()
        refused(lambda: admit_file(policy, forge.signers), "signature-missing", "policy.yaml.sig")

    def test_missing_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        policy.unlink()
        refused(lambda: admit_file(policy, forge.signers), "file-missing", "policy.yaml")

    def test_changed_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        policy.write_text("edgeguard: 2\n")
        refused(lambda: admit_file(policy, forge.signers), "digest-mismatch", "policy.yaml")

    def test_link_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        policy.rename(policy.with_name("real.yaml"))
        policy.symlink_to("real.yaml")
        refused(lambda: admit_file(policy, forge.signers), "link", "policy.yaml")

    def test_another_signed_file_under_its_name_is_refused(
        self, policy: Path, forge: Forge, refused: Refused
    ) -> None:
        other = policy.with_name("lenient.yaml")
        other.write_text("edgeguard: 1 # lets everything pass\n")
        sign_file(other, forge.private_path).replace(policy.with_name("policy.yaml.sig"))
        other.replace(policy)
        refused(lambda: admit_file(policy, forge.signers), "name-mismatch", "policy.yaml")

    def test_folder_signature_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        policy.with_name("policy.yaml.sig").write_bytes(
            forge.sign_files({"policy.yaml": policy.read_bytes()})
        )
        refused(lambda: admit_file(policy, forge.signers), "statement-invalid", "policy.yaml")

    def test_too_large_is_refused(self, policy: Path, forge: Forge, refused: Refused) -> None:
        _huge(policy)
        refused(lambda: admit_file(policy, forge.signers), "too-large", "policy.yaml")

    def test_folder_in_its_place_is_refused(self, tmp_path: Path, forge: Forge, refused: Refused) -> None:
        refused(lambda: admit_file(tmp_path, forge.signers), "not-a-file", tmp_path.name)

    def test_missing_folder_is_refused(self, tmp_path: Path, forge: Forge, refused: Refused) -> None:
        refused(lambda: admit_file(tmp_path / "none" / "p.yaml", forge.signers), "file-missing", "none")


def test_signing_refuses_what_admission_would_refuse(folder: Path, forge: Forge, refused: Refused) -> None:
    (folder / "edgeguard.json").write_bytes(manifest(lambda m: m.update(role="boss")))
    refused(lambda: sign_bundle(folder, forge.private_path), "manifest-invalid", "edgeguard.json")
    (folder / "edgeguard.json").unlink()
    refused(lambda: sign_bundle(folder, forge.private_path), "file-missing", "edgeguard.json")
    (folder / "edgeguard.json").write_bytes(manifest(lambda m: m.update(file="other.onnx")))
    refused(lambda: sign_bundle(folder, forge.private_path), "file-missing", "other.onnx")
    (folder / "link").symlink_to("model.onnx")
    refused(lambda: sign_bundle(folder, forge.private_path), "link", "link")


@pytest.mark.skipif(sys.platform != "linux", reason="names that differ only in case are one file elsewhere")
def test_signing_refuses_names_that_admission_would_refuse(
    folder: Path, forge: Forge, refused: Refused
) -> None:
    (folder / "card.md").touch()
    refused(lambda: sign_bundle(folder, forge.private_path), "name-duplicate", "model.sig")
