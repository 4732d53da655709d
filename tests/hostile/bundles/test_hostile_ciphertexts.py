"""Encrypted models that were cut, moved, exchanged or encrypted for something else, all well signed: none is opened."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from onnx import TensorProto, helper, load_from_string

from edgeguard.admission import admit_bundle
from edgeguard.admission.streaming import HEADER_BYTES, SEGMENT, TAG_BYTES
from tests.hostile.bundles.builders import Forge, Json, good_model, write_files
from tests.hostile.bundles.builders_encrypted import KEY, OTHER_KEY, encrypted_files, sealed, secrets_of
from tests.refusals import Refused


def _large_model() -> bytes:
    """The good model with 2.5 MB of weights that nothing uses: three segments."""
    model = load_from_string(good_model())
    noise = random.Random(5).randbytes(2_500_000)
    model.graph.initializer.append(
        helper.make_tensor("extra", TensorProto.UINT8, [len(noise)], noise, raw=True)
    )
    return bytes(model.SerializeToString())


LARGE = _large_model()
STREAM = sealed(LARGE)
PARTS = [STREAM[i : i + SEGMENT] for i in range(0, len(STREAM), SEGMENT)]


def _flipped(at: int) -> bytes:
    data = bytearray(STREAM)
    data[at] ^= 1
    return bytes(data)


STREAMS: dict[str, bytes] = {
    "empty": b"",
    "one byte": STREAM[:1],
    "header alone": STREAM[:HEADER_BYTES],
    "header and half a tag": STREAM[: HEADER_BYTES + TAG_BYTES // 2],
    "plain model": LARGE,
    "zeros": bytes(len(STREAM)),
    "last segment missing": b"".join(PARTS[:-1]),
    "last byte missing": STREAM[:-1],
    "last tag missing": STREAM[:-TAG_BYTES],
    "a byte more": STREAM + b"\0",
    "a segment more": STREAM[: 2 * SEGMENT] + STREAM[SEGMENT : 2 * SEGMENT] + PARTS[-1],
    "segments exchanged": PARTS[1] + PARTS[0] + PARTS[2],
    "middle segment missing": PARTS[0] + PARTS[2],
    "last segment twice": STREAM + PARTS[-1],
    "first bit of the header": _flipped(0),
    "a bit of the salt": _flipped(1),
    "a bit of the nonces": _flipped(HEADER_BYTES - 1),
    "a bit of the first segment": _flipped(HEADER_BYTES),
    "a bit of a tag in the middle": _flipped(SEGMENT - 1),
    "a bit of the last segment": _flipped(len(STREAM) - TAG_BYTES - 1),
    "a bit of the last tag": _flipped(len(STREAM) - 1),
    "encrypted with another key": sealed(LARGE, OTHER_KEY),
    "encrypted as another model": sealed(LARGE, associated=b"signs-redundant@1.0.0"),
    "encrypted as another version": sealed(LARGE, associated=b"signs-primary@0.9.0"),
    "encrypted for nothing": sealed(LARGE, associated=b""),
    "another model": sealed(good_model()),
    "nothing, encrypted": sealed(b""),
}


@pytest.mark.parametrize("case", STREAMS)
def test_hostile_ciphertext_is_refused_with_its_reason(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = encrypted_files(STREAMS[case], LARGE)
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(
        lambda: admit_bundle(folder, forge.signers, secrets=secrets_of(KEY)),
        "decryption-failed",
        "model.onnx",
    )


def test_good_ciphertext_is_admitted(tmp_path: Path, forge: Forge) -> None:
    """The control of all cases here."""
    files = encrypted_files(STREAM, LARGE)
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    admitted = admit_bundle(folder, forge.signers, secrets=secrets_of(OTHER_KEY, KEY))
    assert admitted.model == LARGE


def test_changed_ciphertext_is_refused_for_its_signature_before_it_is_opened(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = encrypted_files(STREAM, LARGE)
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    (folder / "model.onnx").write_bytes(_flipped(SEGMENT + 5))

    def never(_: str) -> bytes:
        raise AssertionError("a key was asked for")

    refused(lambda: admit_bundle(folder, forge.signers, secrets=never), "digest-mismatch", "model.onnx")


KEYS: dict[str, tuple[bytes, ...]] = {"no key": (), "other keys": (OTHER_KEY, bytes(32))}


@pytest.mark.parametrize("case", KEYS)
def test_without_its_key_an_encrypted_model_is_refused(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = encrypted_files()
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(
        lambda: admit_bundle(folder, forge.signers, secrets=secrets_of(*KEYS[case])),
        "key-missing",
        "model.onnx",
    )
    refused(lambda: admit_bundle(folder, forge.signers), "key-missing", "model.onnx")


@pytest.mark.parametrize("key", [b"", KEY[:16], KEY + b"\0", OTHER_KEY])
def test_a_key_that_is_not_the_one_that_was_asked_for_is_not_used(
    key: bytes, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = encrypted_files()
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers, secrets=lambda _: key), "key-missing", "model.onnx")


def _claims(change: Callable[[Json], object]) -> dict[str, bytes]:
    return encrypted_files(change=change)


CLAIMS: dict[str, tuple[str, str, Callable[[Json], object]]] = {
    "unknown format": ("manifest-invalid", "edgeguard.json", lambda c: c.update(format="AES128_CTR")),
    "no format": ("manifest-invalid", "edgeguard.json", lambda c: c.pop("format")),
    "no digest": ("manifest-invalid", "edgeguard.json", lambda c: c.pop("plaintext")),
    "short digest": ("manifest-invalid", "edgeguard.json", lambda c: c.update(plaintext="00")),
    "key in capitals": ("manifest-invalid", "edgeguard.json", lambda c: c.update(key=c["key"].upper())),
    "key that is a path": ("manifest-invalid", "edgeguard.json", lambda c: c.update(key="../../../etc/pwd")),
    "unknown claim": ("manifest-invalid", "edgeguard.json", lambda c: c.update(salt="00")),
    "wrong digest": ("decryption-failed", "model.onnx", lambda c: c.update(plaintext="0" * 64)),
    "another key": ("key-missing", "model.onnx", lambda c: c.update(key="0" * 16)),
}


@pytest.mark.parametrize("case", CLAIMS)
def test_hostile_claim_is_refused_with_its_reason(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    reason, path, change = CLAIMS[case]
    files = _claims(change)
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers, secrets=secrets_of(KEY)), reason, path)


def test_ciphertext_that_its_manifest_does_not_call_encrypted_is_no_model(
    tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    files = {**encrypted_files(STREAM, LARGE), "edgeguard.json": encrypted_files()["edgeguard.json"]}
    values = files["edgeguard.json"].replace(b'"encryption"', b'"encrypted"')
    files["edgeguard.json"] = values
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers, secrets=secrets_of(KEY)), "manifest-invalid", "json")


def _external() -> bytes:
    model = load_from_string(good_model())
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return bytes(model.SerializeToString())


INSIDE: dict[str, tuple[str, bytes]] = {
    "names another file": ("external-data", _external()),
    "no model": ("model-invalid", b"\xff" * 1000),
    "pickle": ("pickle", pickle.dumps({"weights": [1.0] * 100}, protocol=2)),
}


@pytest.mark.parametrize("case", INSIDE)
def test_what_was_encrypted_is_inspected_like_a_plain_model(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    reason, plain = INSIDE[case]
    files = encrypted_files(plain=plain)
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers, secrets=secrets_of(KEY)), reason, "model.onnx")


def test_a_ciphertext_is_never_taken_for_another_format(tmp_path: Path, forge: Forge) -> None:
    """It starts with the byte 40 and goes on with noise, which must not look like a pickle or an archive."""
    for _ in range(100):
        files = encrypted_files()
        folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
        assert admit_bundle(folder, forge.signers, secrets=secrets_of(KEY)).model == good_model()
