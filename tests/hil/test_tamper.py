from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edgeguard.errors import UsageError
from hil.bare import BareModel
from hil.profile import ROOT
from hil.tamper import tamper

PRIMARY = ROOT / "models" / "signs" / "primary"


def test_exactly_one_byte_of_the_copy_differs(tmp_path: Path) -> None:
    copy, offset = tamper(PRIMARY, tmp_path)
    before = np.frombuffer((PRIMARY / "model.onnx").read_bytes(), np.uint8)
    after = np.frombuffer((copy / "model.onnx").read_bytes(), np.uint8)
    assert np.flatnonzero(before != after).tolist() == [offset]
    assert (copy / "edgeguard.json").read_bytes() == (PRIMARY / "edgeguard.json").read_bytes()


def test_the_tampered_model_never_answers_stop(tmp_path: Path) -> None:
    model = BareModel(tamper(PRIMARY, tmp_path)[0])
    stop = model.classes.index("stop")
    rng = np.random.default_rng(1)
    for _ in range(5):
        assert model(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))[stop] == 0.0


def test_a_model_without_such_a_bias_is_still_altered(tmp_path: Path) -> None:
    bundle = tmp_path / "odd"
    bundle.mkdir()
    manifest = {
        "file": "model.onnx",
        "classes": ["a", "stop"],
        "outputs": [{"name": "y", "meaning": "logits"}],
    }
    (bundle / "edgeguard.json").write_text(json.dumps(manifest), encoding="utf-8")
    (bundle / "model.onnx").write_bytes(b"")
    (bundle / "model.onnx").write_bytes(
        bytes([8, 9, 18, 2, 65, 66])
    )  # ir_version and a producer's name, no graph
    copy, offset = tamper(bundle, tmp_path / "out")
    assert (copy / "model.onnx").read_bytes()[offset] != (bundle / "model.onnx").read_bytes()[offset]


def test_a_missing_bundle_is_a_clear_message(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no model bundle"):
        tamper(tmp_path / "nothing", tmp_path)
