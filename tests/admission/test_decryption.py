"""Encrypted bundles, the whole way: encrypt, sign, admit. The plain model is only ever in memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from edgeguard.admission import admit_bundle, sign_bundle
from edgeguard.admission.bundle import Secrets
from edgeguard.admission.decryption import associated_data, decrypted, key_id, secrets_from
from edgeguard.admission.encrypt import encrypt_bundle
from edgeguard.admission.manifest import parse_manifest
from edgeguard.errors import AdmissionError, UsageError
from tests.hostile.bundles.builders import Forge, good_files, good_model, manifest, write_files

KEY = bytes(range(100, 132))


@pytest.fixture
def secrets() -> Secrets:
    return {key_id(KEY): KEY}.get


@pytest.fixture
def encrypted(unsigned: Path, tmp_path: Path) -> Path:
    return encrypt_bundle(unsigned, KEY, tmp_path / "encrypted")


def test_an_encrypted_and_signed_bundle_is_admitted_with_its_plain_model(
    encrypted: Path, forge: Forge, secrets: Secrets
) -> None:
    sign_bundle(encrypted, forge.private_path, secrets=secrets)
    admitted = admit_bundle(encrypted, forge.signers, secrets=secrets)
    assert admitted.model == good_model()
    assert type(admitted.model) is bytes


def test_what_lies_on_the_disk_is_not_the_model(encrypted: Path) -> None:
    assert (encrypted / "model.onnx").stat().st_size == len(good_model()) + 40 + 16
    for path in encrypted.iterdir():
        assert good_model()[:64] not in path.read_bytes()
        assert KEY not in path.read_bytes()


def test_the_manifest_says_how_and_keeps_everything_else(encrypted: Path) -> None:
    values = json.loads((encrypted / "edgeguard.json").read_bytes())
    assert values.pop("encryption") == {
        "format": "AES256_GCM_HKDF_1MB",
        "key": hashlib.sha256(KEY).hexdigest()[:16],
        "plaintext": hashlib.sha256(good_model()).hexdigest(),
    }
    assert values == json.loads(good_files()["edgeguard.json"])
    assert (encrypted / "CARD.md").read_bytes() == good_files()["CARD.md"]


def test_a_model_is_bound_to_its_name_and_version() -> None:
    assert associated_data(parse_manifest(manifest(), "edgeguard.json")) == b"signs-primary@1.0.0"


def test_a_plain_model_is_passed_on_as_it_is_and_no_key_is_asked_for() -> None:
    def never(_: str) -> bytes:
        raise AssertionError("a key was asked for")

    data = good_model()
    assert decrypted(parse_manifest(manifest(), "edgeguard.json"), data, never, "model.onnx") is data


def test_a_model_that_does_not_fit_into_memory_is_refused(
    encrypted: Path, forge: Forge, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> tuple[bytes, memoryview]:
        raise MemoryError

    sign_bundle(encrypted, forge.private_path, secrets=secrets)
    monkeypatch.setattr("edgeguard.admission.decryption.blank_bytes", full)
    with pytest.raises(AdmissionError, match="too-large"):
        admit_bundle(encrypted, forge.signers, secrets=secrets)


def test_without_the_content_key_an_encrypted_bundle_is_not_signed(encrypted: Path, forge: Forge) -> None:
    with pytest.raises(AdmissionError, match="key-missing"):
        sign_bundle(encrypted, forge.private_path)
    assert not (encrypted / "model.sig").exists()


def test_the_reference_verifier_accepts_an_encrypted_bundle(
    encrypted: Path, forge: Forge, secrets: Secrets
) -> None:
    pytest.importorskip("model_signing", reason="the reference implementation is a development dependency")
    import model_signing.verifying

    stock: Any = model_signing.verifying
    signature = sign_bundle(encrypted, forge.private_path, secrets=secrets)
    stock.Config().use_elliptic_key_verifier(public_key=forge.public_path).verify(encrypted, signature)


_WATCHED = """
import os, sys
from pathlib import Path
from edgeguard.admission import admit_bundle
from edgeguard.admission.decryption import key_id
from edgeguard.admission.loading import trust_keys

folder, public, key = sys.argv[1], sys.argv[2], bytes.fromhex(sys.argv[3])
trust = trust_keys([public])
made = []
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

def watch(event, arguments):
    if event in ("os.mkdir", "os.rename", "tempfile.mkstemp", "socket.connect", "subprocess.Popen"):
        made.append(event)
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES:
        made.append(str(arguments[0]))

sys.addaudithook(watch)
sys.dont_write_bytecode = True
assert admit_bundle(folder, trust, secrets={key_id(key): key}.get).model
assert not made, made
"""


def test_admission_of_an_encrypted_bundle_writes_nothing(
    encrypted: Path, forge: Forge, secrets: Secrets
) -> None:
    """Every file that the process opens is watched by the interpreter's own hook."""
    sign_bundle(encrypted, forge.private_path, secrets=secrets)
    subprocess.run(
        [sys.executable, "-c", _WATCHED, str(encrypted), str(forge.public_path), KEY.hex()], check=True
    )


class TestWhereKeysAre:
    """`secrets_from` opens places in their order, and no more of them than it needs."""

    PLACES: Mapping[str, bytes] = MappingProxyType(
        {"a": KEY, "tpm:b": bytes(32), "pkcs11:c": bytes(range(32))}
    )

    def test_a_key_is_found_wherever_it_is_and_each_place_is_opened_once(self) -> None:
        opened: list[str] = []

        def open_secret(place: str) -> bytes:
            opened.append(place)
            return self.PLACES[place]

        secrets = secrets_from(list(self.PLACES), open_secret)
        assert opened == []
        for _ in range(2):
            assert secrets(key_id(bytes(32))) == bytes(32)
            assert opened == ["a", "tpm:b"]
        assert secrets(key_id(KEY)) == KEY
        assert secrets("0" * 16) is None
        assert secrets(key_id(bytes(range(32)))) == bytes(range(32))
        assert opened == list(self.PLACES)

    def test_a_place_that_does_not_open_is_an_error_each_time_a_key_is_not_found_before_it(self) -> None:
        def open_secret(place: str) -> bytes:
            if place == "tpm:b":
                raise UsageError("no TPM")
            return self.PLACES[place]

        secrets = secrets_from(list(self.PLACES), open_secret)
        assert secrets(key_id(KEY)) == KEY
        for _ in range(2):
            with pytest.raises(UsageError, match="no TPM"):
                secrets(key_id(bytes(range(32))))

    def test_without_places_there_is_no_key(self) -> None:
        assert secrets_from([], lambda _: KEY)(key_id(KEY)) is None


class TestEncrypting:
    """`encrypt_bundle` writes a new folder or nothing."""

    def test_it_is_not_signed_and_old_signatures_are_left_behind(self, bundle: Path, tmp_path: Path) -> None:
        assert (bundle / "model.sig").exists()
        encrypt_bundle(bundle, KEY, tmp_path / "out")
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(good_files())

    def test_files_in_folders_are_kept(self, unsigned: Path, tmp_path: Path) -> None:
        write_files(unsigned, {"notes/a/b.txt": b"kept"})
        out = encrypt_bundle(unsigned, KEY, tmp_path / "out")
        assert (out / "notes/a/b.txt").read_bytes() == b"kept"

    @pytest.mark.parametrize("kind", ["folder", "file", "link"])
    def test_nothing_is_overwritten(self, kind: str, unsigned: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        if kind == "folder":
            out.mkdir()
        elif kind == "file":
            out.touch()
        else:
            out.symlink_to("nowhere")
        with pytest.raises(UsageError, match="exists already"):
            encrypt_bundle(unsigned, KEY, out)

    @pytest.mark.parametrize("size", [0, 16, 31, 33])
    def test_a_key_of_another_length_is_not_used(self, size: int, unsigned: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="32 bytes"):
            encrypt_bundle(unsigned, bytes(size), tmp_path / "out")

    def test_an_encrypted_bundle_is_not_encrypted_again(self, encrypted: Path, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="encrypted already"):
            encrypt_bundle(encrypted, KEY, tmp_path / "out")

    def test_a_model_that_admission_would_refuse_is_not_encrypted(
        self, unsigned: Path, tmp_path: Path
    ) -> None:
        (unsigned / "model.onnx").write_bytes(b"\xff" * 100)
        with pytest.raises(AdmissionError, match="model-invalid"):
            encrypt_bundle(unsigned, KEY, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_a_write_that_fails_leaves_nothing_behind(
        self, unsigned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(UsageError, match="no space left"):
            encrypt_bundle(unsigned, KEY, tmp_path / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["bundle"]

    @pytest.mark.parametrize("out", ["none/out", "a\0b"])
    def test_a_place_that_cannot_be_written_is_a_usage_error(
        self, out: str, unsigned: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match="cannot write"):
            encrypt_bundle(unsigned, KEY, f"{tmp_path}/{out}")
