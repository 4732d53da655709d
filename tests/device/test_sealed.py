"""A sealed secret in a file: one spelling, nobody else's, never written over."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from edgeguard.device import files
from edgeguard.device.sealed import decode, encode, seal, unseal
from edgeguard.device.tpm import SRK, Sealed, Tpm
from edgeguard.errors import AdmissionError, UsageError
from tests.device.doubles import MemoryTpm


def test_a_secret_is_sealed_into_a_file_and_comes_back(tmp_path: Path, tpm: Tpm) -> None:
    seal(tpm, b"secret", tmp_path / "key")
    assert unseal(tpm, tmp_path / "key") == b"secret"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert b"secret" not in (tmp_path / "key").read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["key"]


def test_a_file_is_never_sealed_over(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("mine")
    with pytest.raises(UsageError, match="not overwritten"):
        seal(MemoryTpm(), b"secret", tmp_path / "key")
    assert (tmp_path / "key").read_text() == "mine"


@pytest.mark.parametrize("path", ["missing/key", "nul\0", "k" * 300])
def test_a_path_that_cannot_be_is_a_wrong_call(path: str, tmp_path: Path) -> None:
    tpm = MemoryTpm()
    with pytest.raises(UsageError):
        seal(tpm, b"secret", tmp_path / path)
    with pytest.raises(UsageError):
        unseal(tpm, tmp_path / path)


def test_a_sealed_file_that_others_may_use_is_refused(tmp_path: Path) -> None:
    tpm = MemoryTpm()
    seal(tpm, b"secret", tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(UsageError, match="others than its owner"):
        unseal(tpm, tmp_path / "key")


@pytest.mark.parametrize("sealed", [Sealed(b"a", b"b"), Sealed(b"a", b"b", "sha256:0,7", SRK)])
def test_a_sealed_file_has_one_spelling(sealed: Sealed) -> None:
    data = encode(sealed)
    assert decode(data, "key") == sealed
    for wrong in (
        b"",
        data[:-1],
        data + b"\n",
        b" " + data,
        data.replace(b"sealed", b"sea1ed"),
        data.replace(b":1,", b":2,"),
        data.replace(b"YQ==", b"YQ="),
        data.replace(b"YQ==", b"YR=="),
        data.replace(b"YQ==", b""),
        data.replace(b'"parent":"', b'"parent":"0'),
    ):
        with pytest.raises(UsageError, match="not what a TPM sealed"):
            decode(wrong, "key")


def test_a_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        os, "stat", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(UsageError, match="permission denied"):
        seal(MemoryTpm(), b"secret", tmp_path / "key")


@pytest.mark.parametrize("size", [0, 9, 10, 11, 12, 1000])
def test_no_more_is_read_of_a_small_file_than_it_may_have(size: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    (tmp_path / "file").chmod(0o600)
    with files.open_private(tmp_path) as folder:
        if size <= 10:
            assert files.read(folder, "file", 10) == b"x" * size
        else:
            with pytest.raises(AdmissionError, match="too-large"):
                files.read(folder, "file", 10)
