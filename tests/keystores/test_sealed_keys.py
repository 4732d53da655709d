"""Keys sealed by a TPM: they sign and decrypt on this machine, and on no other; what is damaged is told."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeguard.admission import Trust, admit_bundle, load_public_keys, sign_bundle
from edgeguard.admission.decryption import key_id
from edgeguard.admission.second_keys import load_post_quantum
from edgeguard.admission.sign import Pen
from edgeguard.admission.trust import Grant, TrustedKey
from edgeguard.cli.app import invoke
from edgeguard.errors import UsageError
from edgeguard.keystores import open_second_key, open_secret, open_signing_key
from tests.hostile.bundles.builders import good_files, write_files

if TYPE_CHECKING:
    from tests.software_tpm import SoftwareTpm

OPENERS: list[Callable[[str], Any]] = [open_signing_key, open_second_key, open_secret]


@pytest.fixture
def folder(swtpm: SoftwareTpm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside a running TPM that the environment names."""
    monkeypatch.setenv("EDGEGUARD_TPM", swtpm.tcti)
    return tmp_path


def _new(*arguments: object) -> None:
    assert invoke(["keys", "new", *map(str, arguments), "--tpm"]) == 0


@pytest.mark.process
def test_bundle_that_sealed_keys_signed_is_admitted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _new(folder / "release", "--curve", "521")
    _new(folder / "release", "--post-quantum")
    assert stat.S_IMODE((folder / "release.tpm").stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == [
        "release.ml-dsa-65.pub", "release.ml-dsa-65.tpm", "release.pub", "release.tpm",
    ]  # fmt: skip
    key = open_signing_key(f"tpm:{folder}/release.tpm")
    second = open_second_key(f"tpm:{folder}/release.ml-dsa-65.tpm")
    (half,) = load_public_keys([folder / "release.pub"])
    assert key.public().hint == half.hint
    grant = Grant(post_quantum=load_post_quantum(folder / "release.ml-dsa-65.pub"))
    bundle = write_files(folder / "bundle", good_files())
    sign_bundle(bundle, key, Pen(second=second))
    assert admit_bundle(bundle, Trust(keys=(TrustedKey(half, grant),))).signer == half.hint
    assert "PRIVATE" not in capsys.readouterr().out


@pytest.mark.process
def test_sealed_content_key_is_read_and_shown_by_its_id(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _new(folder / "content", "--content")
    said = capsys.readouterr().out
    secret = open_secret(f"tpm:{folder}/content.tpm")
    assert len(secret) == 32
    assert f"content key {key_id(secret)}" in said
    assert secret.hex() not in said
    assert secret not in (folder / "content.tpm").read_bytes()
    assert invoke(["keys", "show", f"tpm:{folder}/content.tpm"]) == 0
    assert key_id(secret) in capsys.readouterr().out


@pytest.mark.process
def test_sealed_key_is_taken_for_nothing_else(folder: Path) -> None:
    _new(folder / "content", "--content")
    _new(folder / "release")
    for opener in OPENERS:
        place = "content" if opener is not open_secret else "release"
        with pytest.raises(UsageError, match="make one with `edgeguard keys new --tpm`"):
            opener(f"tpm:{folder}/{place}.tpm")


@pytest.mark.process
def test_sealed_key_is_of_no_use_on_another_machine(
    folder: Path, swtpm: SoftwareTpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    _new(folder / "release")
    swtpm.stop()
    (swtpm.folder / "tpm2-00.permall").unlink()
    swtpm.start()
    with pytest.raises(UsageError, match=r"the TPM .* refused"):
        open_signing_key(f"tpm:{folder}/release.tpm")


@pytest.mark.process
def test_damaged_missing_and_shared_files_are_told(folder: Path) -> None:
    _new(folder / "release")
    good = (folder / "release.tpm").read_bytes()
    where = f"tpm:{folder}/release.tpm"
    with pytest.raises(UsageError, match="is not there"):
        open_signing_key(f"tpm:{folder}/none.tpm")
    (folder / "release.tpm").chmod(0o640)
    with pytest.raises(UsageError):
        open_signing_key(where)
    (folder / "release.tpm").chmod(0o600)
    for bad in (b"", good[:-20], good + b"\n", good.replace(b'"private":"A', b'"private":"B')):
        (folder / "release.tpm").write_bytes(bad)
        with pytest.raises(UsageError):
            open_signing_key(where)


@pytest.mark.process
def test_nothing_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _new(folder / "release")
    before = (folder / "release.tpm").read_bytes()
    assert invoke(["keys", "new", str(folder / "release"), "--tpm"]) == 2
    (folder / "release.pub").unlink()
    assert invoke(["keys", "new", str(folder / "release"), "--tpm"]) == 2
    assert (folder / "release.tpm").read_bytes() == before
    assert invoke(["keys", "show", f"tpm:{folder}/release.tpm", "--write", str(folder / "again.pub")]) == 0
    assert load_public_keys([folder / "again.pub"])
    assert "Traceback" not in capsys.readouterr().err


def test_machine_without_a_tpm_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_TPM", "device:/nowhere")
    with pytest.raises(UsageError):
        open_signing_key(f"tpm:{tmp_path}/release.tpm")
    assert invoke(["keys", "new", str(tmp_path / "a"), "--tpm"]) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("opener", "inside"),
    [
        (open_signing_key, b"P-256\n" + bytes(32)),
        (open_signing_key, b"P-256\n" + b"\xff" * 32),
        (open_signing_key, b"P-256\n"),
        (open_signing_key, b"P-192\n" + b"\1" * 24),
        (open_signing_key, b""),
        (open_signing_key, b"\xff\xff\n1"),
        (open_second_key, b"ML-DSA-65\n" + bytes(31)),
        (open_second_key, b"ML-DSA-44\n" + bytes(32)),
        (open_secret, b"content\n" + bytes(31)),
        (open_secret, b"content" + bytes(32)),
    ],
)
def test_sealed_bytes_that_are_no_such_key_are_told(
    opener: Callable[[str], Any], inside: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may use the TPM can have it seal anything."""
    monkeypatch.setattr("edgeguard.keystores.tpm.open_tpm", lambda: None)
    monkeypatch.setattr("edgeguard.keystores.tpm.sealed.unseal", lambda *_: inside)
    with pytest.raises(UsageError, match=r"holds no|holds 31 bytes"):
        opener("tpm:/anywhere")


@pytest.mark.process
def test_sealed_keys_are_shown_by_their_public_half(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _new(folder / "a")
    _new(folder / "a", "--post-quantum")
    for name, pub in (("a", "a"), ("a.ml-dsa-65", "a.ml-dsa-65")):
        (folder / f"{pub}.pub").unlink()
        assert invoke(["keys", "show", f"tpm:{folder}/{name}.tpm", "--write", f"{folder}/{pub}.pub"]) == 0
    said = capsys.readouterr().out
    assert load_public_keys([folder / "a.pub"])[0].hint in said
    assert load_post_quantum(folder / "a.ml-dsa-65.pub").hint in said
