"""Keys: made with mode 0600, never overwritten, refused when others can read them, EC on three curves only."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from edgeguard.admission import load_public_keys, new_key, sign_file
from edgeguard.admission.keyfiles import MAX_KEY_BYTES
from edgeguard.admission.keys import PrivateKey, load_private_key
from edgeguard.errors import UsageError
from tests.hostile.bundles.builders import Forge

AnyKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | dsa.DSAPrivateKey
PEM = serialization.Encoding.PEM


def _write(path: Path, key: AnyKey, *, password: bytes | None = None) -> Path:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    path.write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption))
    path.chmod(0o600)
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return path


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521"])
def test_new_key_is_private_and_signs(curve: str, tmp_path: Path) -> None:
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    new_key(private, public, curve=curve)
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    (trusted,) = load_public_keys([public])
    key = load_private_key(private)
    assert key.public() == trusted or key.public().hint == trusted.hint
    assert trusted.verifies(key.sign(b"message"), b"message")
    assert not trusted.verifies(key.sign(b"message"), b"massage")


def test_new_key_is_private_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    before = os.umask(0)
    try:
        new_key(tmp_path / "a.key", tmp_path / "a.pub")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("existing", ["a.key", "a.pub"])
def test_new_key_overwrites_nothing(existing: str, tmp_path: Path) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(UsageError, match=r"exists already and is not overwritten"):
        new_key(tmp_path / "a.key", tmp_path / "a.pub")
    assert (tmp_path / existing).read_text() == "precious"
    assert len(list(tmp_path.iterdir())) == 1


def test_new_key_does_not_write_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.key").symlink_to("elsewhere")
    with pytest.raises(UsageError):
        new_key(tmp_path / "a.key", tmp_path / "a.pub")
    assert not (tmp_path / "elsewhere").exists()


def test_new_key_needs_a_folder_and_a_known_curve(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="check the folder"):
        new_key(tmp_path / "none" / "a.key", tmp_path / "a.pub")
    with pytest.raises(UsageError, match="unknown curve `P-192`"):
        new_key(tmp_path / "a.key", tmp_path / "a.pub", curve="P-192")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601, 0o777])
def test_key_that_others_can_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.key", ec.generate_private_key(ec.SECP256R1()))
    path.chmod(mode)
    with pytest.raises(UsageError, match="chmod 600"):
        load_private_key(path)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_key_that_only_its_owner_can_use_is_accepted(mode: int, tmp_path: Path) -> None:
    path = _write(tmp_path / "a.key", ec.generate_private_key(ec.SECP256R1()))
    path.chmod(mode)
    assert isinstance(load_private_key(path), PrivateKey)


OTHER_KINDS: list[Callable[[], AnyKey]] = [
    lambda: ec.generate_private_key(ec.SECP256K1()),
    lambda: rsa.generate_private_key(65537, 2048),
    ed25519.Ed25519PrivateKey.generate,
]


@pytest.mark.parametrize("make", OTHER_KINDS)
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_other_kinds_of_key_are_refused(make: Callable[[], AnyKey], tmp_path: Path) -> None:
    path = _write(tmp_path / "a.key", make())
    with pytest.raises(UsageError, match="P-256, P-384 or P-521"):
        load_private_key(path)
    with pytest.raises(UsageError, match="P-256, P-384 or P-521"):
        load_public_keys([path.with_suffix(".pub")])


def test_encrypted_key_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.key", ec.generate_private_key(ec.SECP256R1()), password=b"secret")
    with pytest.raises(UsageError, match="is encrypted: decrypt it first"):
        load_private_key(path)


def test_private_key_in_place_of_the_public_one_is_refused(forge: Forge) -> None:
    with pytest.raises(UsageError, match="holds a private key"):
        load_public_keys([forge.private_path])


def test_public_key_in_place_of_the_private_one_is_refused(forge: Forge, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    path.write_bytes(forge.public_path.read_bytes())
    path.chmod(0o600)
    with pytest.raises(UsageError, match="not a private key"):
        load_private_key(path)


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff" * 100, b"-----BEGIN PUBLIC KEY-----\nAAAA\n"])
def test_garbage_is_no_key(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pub"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(UsageError):
        load_public_keys([path])
    with pytest.raises(UsageError):
        load_private_key(path)


def test_missing_and_endless_key_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the public key `.*none`: no such file"):
        load_public_keys([tmp_path / "none"])
    (tmp_path / "big").write_bytes(bytes(MAX_KEY_BYTES + 1))
    with pytest.raises(UsageError, match="too large to be a public key"):
        load_public_keys([tmp_path / "big"])
    with pytest.raises(UsageError, match="cannot read the private key"):
        sign_file(tmp_path / "big", tmp_path / "none")


@pytest.mark.parametrize("name", ["a\0b", "half \ud800"])
def test_path_that_no_file_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the public key .*no file can have this name"):
        load_public_keys([tmp_path / name])
    with pytest.raises(UsageError, match=r"cannot create .*no file can have this name"):
        new_key(tmp_path / name, tmp_path / "key.pub")


def test_a_private_key_is_not_left_behind_without_its_public_half(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"check the folder"):
        new_key(tmp_path / "new.key", tmp_path / "no-such-folder" / "new.pub")
    with pytest.raises(UsageError, match=r"exists already"):
        new_key(tmp_path / "new.key", tmp_path / "new.key")
    assert list(tmp_path.iterdir()) == []


def test_keys_are_loaded_in_the_order_given(tmp_path: Path) -> None:
    forges = [Forge.at(tmp_path, name=name) for name in "ab"]
    loaded = load_public_keys([f.public_path for f in reversed(forges)])
    assert [key.hint for key in loaded] == [f.key.public().hint for f in reversed(forges)]


def test_private_keys_are_not_shown(forge: Forge) -> None:
    assert "PRIVATE" not in repr(forge.key)
    assert forge.private_path.read_text().split()[4][:8] not in repr(forge.key)


def test_file_that_cannot_be_read_to_its_end_is_told() -> None:
    """A regular file of its owner's, which gives an input/output error."""
    with pytest.raises(UsageError, match=r"cannot read the private key `/proc/self/mem`: input/output error"):
        load_private_key("/proc/self/mem")


def test_library_without_ml_dsa_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeguard.admission.second_keys import generate_second

    def refuse() -> None:
        raise UnsupportedAlgorithm("no ML-DSA")

    monkeypatch.setattr("edgeguard.admission.second_keys.mldsa.MLDSA65PrivateKey.generate", refuse)
    with pytest.raises(UsageError, match="has no ML-DSA"):
        generate_second()


def test_public_half_in_the_place_of_the_private_one_is_told_apart(tmp_path: Path) -> None:
    new_key(tmp_path / "a.key", tmp_path / "a.pub")
    with pytest.raises(UsageError, match="is named like a public key: name the private key instead"):
        load_private_key(tmp_path / "a.pub")
