"""No byte may change: any flipped byte of any file of a bundle, of a policy or of a calibration is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeguard.admission import admit_bundle, admit_file, sign_file
from edgeguard.admission.bundle import verify_signature
from edgeguard.admission.inspection import inspect_onnx
from edgeguard.admission.strictjson import outside_strings
from edgeguard.errors import AdmissionError
from tests.hostile.bundles.builders import Forge, compact, good_files, good_model, good_statement, write_files

FILES = ("CARD.md", "edgeguard.json", "model.onnx", "model.sig")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, forge: Forge) -> Path:
    files = good_files()
    folder = tmp_path_factory.mktemp("flips") / "bundle"
    return write_files(folder, {**files, "model.sig": forge.sign_files(files)})


@pytest.fixture(scope="module")
def signed_files(tmp_path_factory: pytest.TempPathFactory, forge: Forge) -> Path:
    folder = tmp_path_factory.mktemp("signed")
    (folder / "policy.yaml").write_text("edgeguard: 1\npolicy: {name: gate, version: 7}\n")
    (folder / "gate.calibration.json").write_text(json.dumps({"thresholds": {"certainty": 0.93}}))
    for name in ("policy.yaml", "gate.calibration.json"):
        sign_file(folder / name, forge.private_path)
    return folder


def _flip(path: Path, offset: int, mask: int) -> bytes:
    """Flip bits of one byte. Returns what was there."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[offset % len(before)] ^= mask
    path.write_bytes(changed)
    return before


@settings(max_examples=400, deadline=None)
@given(name=st.sampled_from(FILES), offset=st.integers(0, 1 << 20), mask=st.integers(1, 255))
def test_flipped_byte_of_a_bundle_is_refused_by_the_name_of_its_file(
    bundle: Path, forge: Forge, name: str, offset: int, mask: int
) -> None:
    before = _flip(bundle / name, offset, mask)
    try:
        with pytest.raises(AdmissionError) as caught:
            admit_bundle(bundle, forge.signers)
    finally:
        (bundle / name).write_bytes(before)
    assert caught.value.path == f"{bundle}/{name}"


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["policy.yaml", "gate.calibration.json"]),
    sig=st.booleans(),
    offset=st.integers(0, 1 << 20),
    mask=st.integers(1, 255),
)
def test_flipped_byte_of_a_policy_or_calibration_is_refused_by_the_name_of_its_file(
    signed_files: Path, forge: Forge, name: str, sig: bool, offset: int, mask: int
) -> None:
    place = signed_files / (f"{name}.sig" if sig else name)
    before = _flip(place, offset, mask)
    try:
        with pytest.raises(AdmissionError) as caught:
            admit_file(signed_files / name, forge.signers)
    finally:
        place.write_bytes(before)
    assert caught.value.path == str(place)


def test_every_byte_of_a_signature_matters(forge: Forge) -> None:
    """All bytes, six masks each: bit 0, bit 5 (case, and space), bit 7, a digit's neighbour, tab for newline, all."""
    good = forge.sign(good_statement()) + b"\n"
    verify_signature(good, forge.signers, "model.sig")
    for offset in range(len(good)):
        for mask in (0x01, 0x20, 0x80, 0x03, 0x2A, 0xFF):
            changed = bytearray(good)
            changed[offset] ^= mask
            with pytest.raises(AdmissionError):
                verify_signature(bytes(changed), forge.signers, "model.sig")


@pytest.mark.parametrize("spaced", [False, True])
def test_no_value_of_a_structural_byte_goes_unnoticed(forge: Forge, spaced: bool) -> None:
    """Outside the strings of a signature, every other value of every byte is refused."""
    text = json.loads(forge.sign(good_statement()))
    good = (json.dumps(text) if spaced else compact(text).decode()).encode()
    verify_signature(good, forge.signers, "model.sig")
    inside = False
    for offset, byte in enumerate(good):
        if byte == ord('"'):
            inside = not inside
        elif not inside:
            for value in set(range(256)) - {byte}:
                with pytest.raises(AdmissionError):
                    verify_signature(
                        good[:offset] + bytes([value]) + good[offset + 1 :], forge.signers, "model.sig"
                    )
    assert not inside
    assert b"A" not in outside_strings(good)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300))
def test_no_bytes_at_all_make_a_signature_or_a_traceback(forge: Forge, data: bytes) -> None:
    with pytest.raises(AdmissionError):
        verify_signature(data, forge.signers, "model.sig")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_value_anywhere_in_a_statement_is_refused_or_harmless(forge: Forge, data: st.DataObject) -> None:
    """Replace one value of a statement by any other, and sign: a refusal, or the same files as before."""
    statement = good_statement()
    place: object = statement
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))  # type: ignore[arg-type]
        key = data.draw(st.sampled_from(keys))
        inner = place[key]  # type: ignore[index]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(_JSON)  # type: ignore[index]
            break
        place = inner
    try:
        vouched = verify_signature(forge.sign(statement), forge.signers, "model.sig")
    except AdmissionError:
        return
    digests = [r.digest for r in vouched.statement.resources]
    assert digests == [r["digest"] for r in good_statement()["predicate"]["resources"]]


def _tensors(message: object) -> list[onnx.TensorProto]:
    """Find all tensors of a parsed model by reflection: an oracle that shares no table with the inspection."""
    found = [message] if isinstance(message, onnx.TensorProto) else []
    for field, value in message.ListFields():  # type: ignore[attr-defined]
        if field.message_type is not None:
            values = value if field.is_repeated else [value]
            for inner in values:
                found += _tensors(inner)
    return found


@settings(max_examples=500, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=6)), min_size=1, max_size=4),
    cut=st.booleans(),
)
def test_mutated_models_are_refused_or_hold_no_external_data(
    edits: list[tuple[int, bytes]], cut: bool
) -> None:
    data = good_model()
    for offset, patch in edits:
        at = offset % len(data)
        data = data[:at] + patch + data[at + (len(patch) if cut else 0) :]
    try:
        inspect_onnx(data, "model.onnx")
    except AdmissionError:
        return
    try:
        model = onnx.load_from_string(data)
    except Exception:  # the inspection is no full parser: what it lets pass may still be no model
        return
    assert not [t for t in _tensors(model) if t.external_data or t.data_location != t.DEFAULT]


def test_swapping_files_after_admission_changes_nothing(folder: Path, forge: Forge) -> None:
    admitted = admit_bundle(folder, forge.signers)
    shutil.rmtree(folder)
    write_files(folder, {"model.onnx": b"evil"})
    assert admitted.model == good_model()
