"""init: what a model does not say is asked for or refused, and what is written passes every check as it stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from edgeguard.cli.init import sides, three
from edgeguard.cli.starter import slug
from edgeguard.errors import UsageError

Call = Callable[..., Any]
Classifier = Callable[..., Path]


def manifest(folder: Path) -> Any:
    return json.loads((folder / "models" / "primary" / "edgeguard.json").read_text())


def test_the_manifest_is_read_off_the_model(call: Call, classifier: Classifier, tmp_path: Path) -> None:
    out = tmp_path / "guard"
    said = call("init", classifier(), "-o", out)
    assert said.code == 0
    found = manifest(out)
    assert found["input"]["shape"] == ["N", 3, 16, 16]
    assert found["outputs"] == [
        {"name": "logits", "dtype": "float32", "shape": ["N", 3], "meaning": "logits"}
    ]
    assert found["classes"] == ["class_0", "class_1", "class_2"]
    assert "assumed, because no model says it: RGB" in said.out
    assert call("policy", "check", out / "policy.yaml").code == 0


def test_what_init_writes_can_be_signed_and_admitted(
    call: Call, classifier: Classifier, tmp_path: Path
) -> None:
    out = tmp_path / "guard"
    call("init", classifier(shape=(1, 16, 24, 3), probabilities=True), "-o", out)
    key = out / "keys" / "release"
    assert call("sign", out / "models" / "primary", "--key", f"{key}.key").code == 0
    assert call("verify", out / "models" / "primary", "--trust", f"{key}.pub").code == 0
    found = manifest(out)
    assert (found["input"]["layout"], found["input"]["shape"]) == ("NHWC", [1, 16, 24, 3])
    assert found["outputs"][0]["meaning"] == "probabilities"


def test_the_next_commands_are_printed_with_their_paths(
    call: Call, classifier: Classifier, tmp_path: Path
) -> None:
    model = classifier()
    said = call("init", model, "-o", tmp_path / "a").out
    assert f"--key {tmp_path / 'a' / 'keys' / 'release.key'}\n" in said
    assert f"edgeguard run --policy {tmp_path / 'a' / 'policy.yaml'}" in said
    mine = tmp_path / "a" / "keys" / "release.pub"
    theirs = call("init", model, "-o", tmp_path / "b", "--signer", mine).out
    assert "--key PRIVATE.key\n" in theirs
    assert not (tmp_path / "b" / "keys" / "release.key").exists()
    assert (tmp_path / "b" / "keys" / "release.pub").read_bytes() == mine.read_bytes()
    assert call("keys", "show", mine).out.split('"')[1] in (tmp_path / "b" / "policy.yaml").read_text()


def test_a_private_key_is_ignored_by_git(call: Call, classifier: Classifier, tmp_path: Path) -> None:
    call("init", classifier(), "-o", tmp_path / "a")
    assert "*.key" in (tmp_path / "a" / ".gitignore").read_text()


def test_labels_name_the_classes_and_must_be_as_many(
    call: Call, classifier: Classifier, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("red\n\n green \nblue\n")
    assert call("init", classifier(), "-o", tmp_path / "a", "--labels", labels).code == 0
    assert manifest(tmp_path / "a")["classes"] == ["red", "green", "blue"]
    labels.write_text("red\n")
    said = call("init", classifier(), "-o", tmp_path / "b", "--labels", labels)
    assert (said.code, "names 1 classes, the model has 3" in said.err) == (2, True)
    said = call("init", classifier(), "-o", tmp_path / "b", "--labels", tmp_path / "none.txt")
    assert (said.code, "cannot read the labels" in said.err) == (2, True)


def test_preprocessing_can_be_stated(call: Call, classifier: Classifier, tmp_path: Path) -> None:
    out = tmp_path / "a"
    call("init", classifier(), "-o", out, "--bgr", "--raw", "--mean", "104,117,123", "--std", "2")
    found = manifest(out)["input"]
    assert (found["color"], found["scale"], found["mean"], found["std"]) == (
        "BGR",
        1.0,
        [104, 117, 123],
        [2, 2, 2],
    )


def test_an_open_picture_size_must_be_stated(call: Call, classifier: Classifier, tmp_path: Path) -> None:
    model = classifier(shape=("batch", 3, "height", "width"))
    said = call("init", model, "-o", tmp_path / "a")
    assert (said.code, "--size HEIGHTxWIDTH" in said.err) == (2, True)
    assert call("init", model, "-o", tmp_path / "a", "--size", "16x20").code == 0
    assert manifest(tmp_path / "a")["input"]["shape"] == ["N", 3, 16, 20]


def test_a_size_that_contradicts_the_model_is_refused(
    call: Call, classifier: Classifier, tmp_path: Path
) -> None:
    said = call("init", classifier(), "-o", tmp_path / "a", "--size", "17x16")
    assert (said.code, "leave `--size` out" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra_input": True}, "has 2 inputs"),
        ({"kind": TensorProto.UINT8}, "export the model with a float32 input"),
        ({"shape": ("batch", 16, 16, 1)}, "classifiers of colour pictures"),
        ({"shape": (4, 3, 16, 16)}, "takes 4 pictures at once"),
        ({"extra_output": True}, "2 outputs that could be class scores"),
        ({"classes": 1}, "0 outputs that could be class scores"),
    ],
)
def test_a_model_that_is_no_image_classifier_is_refused_with_a_reason(
    call: Call, classifier: Classifier, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    said = call("init", classifier(**changes), "-o", tmp_path / "a")
    assert said.code == 4
    assert message in said.err
    assert not (tmp_path / "a").exists()


def test_a_file_that_is_no_model_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert call("init", tmp_path / "model.onnx", "-o", tmp_path / "a").code == 4
    assert call("init", tmp_path / "missing.onnx", "-o", tmp_path / "a").code == 4


def test_a_model_that_onnxruntime_cannot_load_or_run_is_refused(
    call: Call, classifier: Classifier, tmp_path: Path
) -> None:
    data = classifier().read_bytes()
    (tmp_path / "odd.onnx").write_bytes(data.replace(b"MatMul", b"MetMul"))
    said = call("init", tmp_path / "odd.onnx", "-o", tmp_path / "a")
    assert (said.code, "operator-unknown" in said.err) == (4, True)
    mixed = onnx.load_from_string(data)
    weights = onnx.numpy_helper.to_array(mixed.graph.initializer[0])
    mixed.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights.astype("float64"), "w"))
    (tmp_path / "odd.onnx").write_bytes(mixed.SerializeToString())
    said = call("init", tmp_path / "odd.onnx", "-o", tmp_path / "a")
    assert (said.code, "onnxruntime cannot load it" in said.err) == (4, True)
    model = classifier(shape=("batch", 3, "height", "width"), flat=True)
    said = call("init", model, "-o", tmp_path / "a", "--size", "8x8")
    assert (said.code, "does not run on a picture of (1, 3, 8, 8)" in said.err) == (4, True)
    assert call("init", model, "-o", tmp_path / "a", "--size", "16x16").code == 0


def test_nothing_is_overwritten(call: Call, classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("x")
    said = call("init", classifier(), "-o", tmp_path / "a")
    assert (said.code, "is not empty" in said.err) == (2, True)
    assert call("init", classifier(), "-o", tmp_path / "a" / "mine").code == 2


def test_a_folder_that_cannot_be_made_is_a_clear_message(call: Call, classifier: Classifier) -> None:
    said = call("init", classifier(), "-o", "/proc/guard")
    assert (said.code, "cannot write into" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("My Net_v2", "my-net-v2"), ("2net", "model-2net"), ("---", "model"), ("x" * 99, "x" * 48)],
)
def test_a_name_is_made_of_any_file_s(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize("text", ["", "x", "1,2", "1,2,3,4"])
def test_one_number_or_three(text: str) -> None:
    with pytest.raises(UsageError, match="one number, or three"):
        three(text, "--mean")


@pytest.mark.parametrize("text", ["", "224", "0x4", "axb", "1x2x3"])
def test_a_size_is_two_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="HEIGHTxWIDTH"):
        sides(text)
