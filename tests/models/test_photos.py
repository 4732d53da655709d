"""The photos profile's manifests fit the agreed format; the networks themselves only where they have been rebuilt."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before the import: its wheel starts a telemetry thread
import onnxruntime as ort

PHOTOS = Path(__file__).parents[2] / "models" / "photos"
EXPECTED = {"chelsea": "Egyptian Mau", "coffee": "espresso", "camera": "tripod"}


def manifest(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PHOTOS / name / "edgeguard.json").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("name", ["primary", "redundant"])
def test_the_thousand_classes_have_different_names(name: str) -> None:
    assert len(set(manifest(name)["classes"])) == manifest(name)["outputs"][0]["shape"][1] == 1000


def test_the_photographs_are_small() -> None:
    pictures = list((PHOTOS / "images").glob("*.jpg"))
    assert len(pictures) >= 3
    assert sum(p.stat().st_size for p in pictures) <= 1.5e6


@pytest.mark.parametrize("name", ["primary", "redundant"])
@pytest.mark.parametrize("photograph", EXPECTED)
def test_a_rebuilt_network_reads_the_photographs_through_its_declared_preprocessing(
    name: str, photograph: str
) -> None:
    model = PHOTOS / name / "model.onnx"
    if not model.exists():
        pytest.skip("not rebuilt here: `python -m models.photos.export`")
    declared = manifest(name)
    with Image.open(PHOTOS / "images" / f"{photograph}.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BOX), dtype=np.float32)
    x = (pixels * declared["input"]["scale"] - declared["input"]["mean"]) / declared["input"]["std"]
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"image": x.transpose(2, 0, 1)[None].astype(np.float32)})[0]
    assert declared["classes"][int(logits.argmax())] == EXPECTED[photograph]
