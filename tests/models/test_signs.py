"""The committed bundles are what their manifests say, and the demo's attacks work against the unguarded answer."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: its wheel starts a telemetry thread
import onnxruntime as ort

from hil.camera import DEFAULT, Camera, Condition
from models.signs.calibration import render
from models.signs.frames import area, exposures

SIGNS = Path(__file__).parents[2] / "models" / "signs"
ROLES = {"primary": "primary", "redundant": "redundant", "denoise": "filter"}
STOP = 1
Floats = NDArray[np.float32]


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SIGNS / name / "edgeguard.json").read_text(encoding="utf-8"))
    return content


@cache
def session(name: str) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(SIGNS / name / "model.onnx", options, providers=["CPUExecutionProvider"])


def tensor(images: NDArray[np.uint8]) -> Floats:
    scaled: Floats = area(images).astype(np.float32) / np.float32(255)
    return scaled


def answers(x: Floats) -> NDArray[np.int64]:
    """The unguarded answer: primary(filter(x))."""
    filtered = session("denoise").run(None, {"image": x})[0]
    classes: NDArray[np.int64] = session("primary").run(["logits"], {"image": filtered})[0].argmax(1)
    return classes


def attacked(condition: Condition, count: int = 300) -> Floats:
    camera, rng = Camera(seed=123), np.random.default_rng(123)
    frames = []
    for _ in range(count):
        camera.new_approach()
        frames.append(camera.frame("stop", float(rng.uniform(2, 35)), condition))
    return tensor(np.stack(frames))


@pytest.mark.parametrize("name", ROLES)
def test_a_bundle_has_the_shapes_and_names_of_its_manifest(name: str) -> None:
    declared = manifest(name)
    assert declared["role"] == ROLES[name]
    [image] = session(name).get_inputs()
    assert [image.name, *image.shape] == [declared["input"]["name"], *declared["input"]["shape"]]
    outputs = [(o.name, list(o.shape)) for o in session(name).get_outputs()]
    assert [n for n, _ in outputs] == [o["name"] for o in declared["outputs"]]
    result = session(name).run(None, {"image": np.zeros((3, 3, 32, 32), np.float32)})
    for value, wanted in zip(result, declared["outputs"], strict=True):
        assert list(value.shape) == [3, *wanted["shape"][1:]]
        assert str(value.dtype) == wanted["dtype"]


@pytest.mark.parametrize("name", ["primary", "redundant"])
def test_a_classifier_names_a_class_per_logit_and_a_temperature(name: str) -> None:
    declared = manifest(name)
    assert len(declared["classes"]) == len(set(declared["classes"])) == declared["outputs"][0]["shape"][1]
    assert declared["classes"] == list(Camera(seed=0).classes)
    assert 0.3 < declared["temperature"] < 3.0


@pytest.mark.parametrize("name", ROLES)
def test_a_bundle_is_small_self_contained_and_old_enough_for_the_device(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    path = SIGNS / name / "model.onnx"
    assert path.stat().st_size <= 1_000_000
    model = onnx.load(path, load_external_data=False)
    assert model.ir_version <= 9
    assert [(o.domain, o.version <= 17) for o in model.opset_import] == [("", True)]
    assert not any(t.data_location == onnx.TensorProto.EXTERNAL for t in model.graph.initializer)
    assert sorted(p.name for p in path.parent.iterdir() if p.name != "model.sig") == [
        "CARD.md",
        "edgeguard.json",
        "model.onnx",
    ]


def test_the_answer_is_right_on_fresh_clean_frames() -> None:
    images, labels, _ = exposures(1700, split="test", seed=4321, within=35.0)
    x = tensor(images)
    right = answers(x) == labels
    assert right.mean() >= 0.97
    assert right[labels == STOP].mean() >= 0.97
    redundant = session("redundant").run(None, {"image": x})[0].argmax(1)
    assert (redundant == labels).mean() >= 0.95


def test_the_whole_drive_is_read_without_wild_answers() -> None:
    images, labels, _ = exposures(1700, split="test", seed=99)
    assert (answers(tensor(images)) == labels).mean() >= 0.97


def test_the_filter_hardly_changes_a_clean_answer() -> None:
    images, _, _ = exposures(680, split="test", seed=5)
    x = tensor(images)
    raw = session("primary").run(["logits"], {"image": x})[0].argmax(1)
    assert (raw == answers(x)).mean() >= 0.98


def test_novelty_ranks_unknown_objects_above_known_signs() -> None:
    novelty = []
    for signs in ((), ("unknown",)):
        images, _, _ = exposures(510, split="test", seed=6, within=35.0, signs=signs, per_scene=5)
        filtered = session("denoise").run(None, {"image": tensor(images)})[0]
        novelty.append(session("primary").run(["novelty"], {"image": filtered})[0])
    assert (novelty[1][:, None] > novelty[0][None, :]).mean() >= 0.8  # area under the ROC curve


@pytest.mark.parametrize(
    ("attack", "floor"), [(Condition(patch=True), 0.5), (Condition(attack="pgd"), 0.8)], ids=["patch", "pgd"]
)
def test_the_attack_turns_a_stop_sign_into_something_harmless(attack: Condition, floor: float) -> None:
    seen = answers(attacked(attack))
    assert (seen != STOP).mean() >= floor


def test_the_robust_model_still_reads_the_pgd_frames() -> None:
    seen = session("redundant").run(None, {"image": attacked(Condition(attack="pgd"))})[0].argmax(1)
    assert (seen == STOP).mean() >= 0.9


def test_the_committed_pictures_are_few_and_every_one_has_a_licence() -> None:
    files = [p for p in DEFAULT.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 6 * 2**20
    sources = (DEFAULT / "SOURCES.md").read_text(encoding="utf-8")
    listed = [p.relative_to(DEFAULT).as_posix() for p in files if p.suffix in {".png", ".jpg", ".npz"}]
    assert [name for name in listed if f"`{name}`" not in sources] == []


def test_calibration_frames_show_every_class() -> None:
    images, labels, classes = render(340)
    assert images.shape == (340, 64, 64, 3)
    assert set(labels.tolist()) == set(range(len(classes)))
