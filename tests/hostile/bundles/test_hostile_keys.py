"""Key files that must not be used: others can read them, links, pipes, encrypted, several, other kinds, torn halves."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa, x25519

from edgeguard import disk
from edgeguard.admission import Trust, admit_bundle
from edgeguard.admission.keyfiles import MAX_KEY_BYTES
from edgeguard.admission.keys import create_pair, generate, load_private_key, load_public_keys
from edgeguard.admission.second_keys import generate_second, load_post_quantum, load_second_key
from edgeguard.admission.sign import Pen, sign_bundle
from edgeguard.admission.trust import Grant, TrustedKey
from edgeguard.errors import EdgeguardError, UsageError
from edgeguard.keystores import open_second_key, open_secret, open_signing_key
from tests.hostile.bundles.builders import good_files, write_files

PEM = serialization.Encoding.PEM
OPENERS = [open_signing_key, open_second_key, open_secret]


def private(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def pem(key: Any, password: bytes = b"", form: Any = serialization.PrivateFormat.PKCS8) -> bytes:
    how: Any = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return bytes(key.private_bytes(PEM, form, how))


def public_pem(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def refused(call: Callable[[], object], *words: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    said = str(caught.value)
    assert all(word in said for word in words), said
    assert "PRIVATE" not in said.replace("PRIVATE KEY", "")
    assert "\n" not in said
    assert len(said) < 700


@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666, 0o4777])
def test_key_that_others_can_use(opener: Callable[[str], object], mode: int, tmp_path: Path) -> None:
    path = private(tmp_path / "a.key", bytes(32))
    path.chmod(mode)
    refused(lambda: opener(str(path)), "can be used by others: run `chmod 600")


@pytest.mark.parametrize("opener", OPENERS)
def test_key_behind_a_link(opener: Callable[[str], object], tmp_path: Path) -> None:
    private(tmp_path / "real.key", generate()[0])
    (tmp_path / "a.key").symlink_to("real.key")
    refused(lambda: opener(str(tmp_path / "a.key")), "is a link", "name the file itself")


@pytest.mark.parametrize("opener", OPENERS)
def test_pipe_folder_and_device_in_a_key_s_place(opener: Callable[[str], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        refused(lambda place=place: opener(str(place)), "not a regular file")  # type: ignore[misc]


def test_pipe_and_folder_in_a_public_key_s_place(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        refused(lambda place=place: load_public_keys([place]), "not a regular file")  # type: ignore[misc]
        refused(lambda place=place: load_post_quantum(place), "not a regular file")  # type: ignore[misc]


def test_huge_key(tmp_path: Path) -> None:
    path = private(tmp_path / "a.key", b"")
    os.truncate(path, 2**40)
    for opener in OPENERS:
        refused(lambda opener=opener: opener(str(path)), "too large")  # type: ignore[misc]
    refused(lambda: load_public_keys([path]), "too large to be a public key")
    private(path, generate()[0] + b"\n" * MAX_KEY_BYTES)
    refused(lambda: load_private_key(path), "too large")


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_encrypted_key(form: Any, tmp_path: Path) -> None:
    path = private(tmp_path / "a.key", pem(ec.generate_private_key(ec.SECP256R1()), b"secret", form))
    refused(lambda: load_private_key(path), "is encrypted: decrypt it first")
    refused(lambda: load_second_key(path), "is encrypted: decrypt it first")


def test_several_keys_in_one_file(tmp_path: Path) -> None:
    (one, half), (other, other_half) = generate(), generate("P-384")
    for data in (one + other, half + one, b"comment\n" + one + b"\n" + one):
        path = private(tmp_path / "a.key", data)
        refused(lambda path=path: load_private_key(path), "2 PEM blocks")  # type: ignore[misc]
    (tmp_path / "a.pub").write_bytes(half + other_half)
    refused(lambda: load_public_keys([tmp_path / "a.pub"]), "2 PEM blocks and not one public key")


OTHER: dict[str, Callable[[], Any]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
    "X25519": x25519.X25519PrivateKey.generate,
    "P-224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "brainpool": lambda: ec.generate_private_key(ec.BrainpoolP256R1()),
    "ML-DSA-44": mldsa.MLDSA44PrivateKey.generate,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey.generate,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey.generate,
}


@pytest.mark.parametrize("make", OTHER.values(), ids=OTHER)
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_key_of_another_kind(make: Callable[[], Any], tmp_path: Path) -> None:
    key = make()
    path = private(tmp_path / "a.key", pem(key))
    refused(lambda: load_private_key(path), "use an EC key on P-256, P-384 or P-521")
    (tmp_path / "a.pub").write_bytes(public_pem(key))
    refused(lambda: load_public_keys([tmp_path / "a.pub"]), "use an EC key on P-256, P-384 or P-521")
    if not isinstance(key, mldsa.MLDSA65PrivateKey):
        refused(lambda: load_second_key(path), "use an ML-DSA-65 key")
        refused(lambda: load_post_quantum(tmp_path / "a.pub"), "use an ML-DSA-65 key")


def test_key_whose_halves_differ(tmp_path: Path) -> None:
    """The public half inside the private file is that of another key."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    ders = [
        key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        for key in keys
    ]
    import base64

    torn = ders[0][:-65] + ders[1][-65:]
    assert len(torn) == 138
    text = b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n" % base64.b64encode(torn)
    path = private(tmp_path / "a.key", text)
    with pytest.raises(UsageError, match=r"halves .* do not fit together|is not a private key"):
        load_private_key(path)


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64])
def test_content_key_of_another_length(length: int, tmp_path: Path) -> None:
    path = private(tmp_path / "content.key", bytes(length))
    refused(lambda: open_secret(str(path)), f"holds {length} bytes", "keys new NAME --content")


def test_bundle_is_not_touched_when_a_key_is_refused(tmp_path: Path) -> None:
    bundle = write_files(tmp_path / "bundle", good_files())
    before = sorted(bundle.iterdir())
    path = private(tmp_path / "a.key", pem(ed25519.Ed25519PrivateKey.generate()))
    with pytest.raises(EdgeguardError):
        sign_bundle(bundle, path)
    assert sorted(bundle.iterdir()) == before


STEPS = ["write_new", "os.write", "os.fchmod", "os.fsync", "os.link", "sync_folder"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [0, 1])
def test_write_that_fails_at_any_step_leaves_no_key_at_all(
    step: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the private half (`after` 0) or the public one (1)."""
    pair = generate()
    _fail_once(monkeypatch, step, after)
    with pytest.raises(UsageError, match=r"cannot create .*: no space left on device"):
        create_pair(tmp_path / "a.key", tmp_path / "a.pub", *pair)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", STEPS)
def test_power_cut_at_any_step_leaves_under_a_key_s_name_a_whole_key_or_nothing(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the cut on nothing happens any more: nothing is tidied up either."""
    pair = generate()
    for after in (0, 1):
        folder = tmp_path / str(after)
        folder.mkdir()
        _fail_once(monkeypatch, step, after, lambda: _cut(monkeypatch))
        with pytest.raises(PowerCut):
            create_pair(folder / "a.key", folder / "a.pub", *pair)
        monkeypatch.undo()
        for path in folder.iterdir():
            if path.name == "a.key":
                load_private_key(path)
            elif path.name == "a.pub":
                load_public_keys([path])
            else:
                assert path.stat().st_mode & 0o077 in (0, 0o044)
                assert re.fullmatch(r"\.a\.(key|pub)\.[0-9a-f]{8}\.new", path.name)


class PowerCut(BaseException):
    """Nothing after this happens."""


def _cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise PowerCut

    monkeypatch.setattr(Path, "unlink", gone)
    raise PowerCut


@pytest.mark.parametrize(
    "step", ["write_new", "os.write", "os.fchmod", "os.fsync", "Path.replace", "sync_folder"]
)
@pytest.mark.parametrize("after", [0, 1])
def test_write_that_fails_leaves_a_whole_signature(
    step: str, after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old one or the new one; which of both, of the first (`after` 1) and the second signature (0), is open."""
    create_pair(tmp_path / "a.key", tmp_path / "a.pub", *generate())
    create_pair(tmp_path / "b.key", tmp_path / "b.pub", *generate_second())
    bundle = write_files(tmp_path / "bundle", good_files())
    pen, key = Pen(second=load_second_key(tmp_path / "b.key")), load_private_key(tmp_path / "a.key")
    sign_bundle(bundle, key, pen)
    _fail_once(monkeypatch, step, after)
    with pytest.raises(UsageError, match=r"cannot write .*: no space left on device"):
        sign_bundle(bundle, key, pen)
    monkeypatch.undo()
    assert sorted(p.name for p in bundle.iterdir()) == [
        "CARD.md", "edgeguard.json", "model.onnx", "model.sig", "model.sig.ml-dsa-65",
    ]  # fmt: skip
    grant = Grant(post_quantum=load_post_quantum(tmp_path / "b.pub"))
    assert admit_bundle(bundle, Trust(keys=(TrustedKey(key.public(), grant),))).model


def _no_space() -> None:
    raise OSError(28, os.strerror(28))


def _fail_once(
    monkeypatch: pytest.MonkeyPatch, step: str, after: int, how: Callable[[], None] = _no_space
) -> None:
    """Let a system call of `disk` fail, the first time or, `after` 1, the second time."""
    holder: Any = disk
    *way, name = step.split(".")
    for part in way:
        holder = getattr(holder, part)
    real, left = getattr(holder, name), [after]

    def called(*args: Any, **kwargs: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            how()
        return real(*args, **kwargs)

    monkeypatch.setattr(holder, name, called)
