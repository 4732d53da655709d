"""What a fused graph says of its own answer is held against that answer; a sane number alone is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import InputSpec, Manifest, TensorSpec
from edgeguard.inference.scoring import Raw, Scoring

CLASSES = ("none", "stop", "yield")
ONE = ("certainty", "margin", "squeezing")
HONEST = {"certainty": 0.7, "margin": 0.5, "squeezing": 0.2}


@pytest.fixture(scope="module")
def scoring() -> Scoring:
    outputs = (
        TensorSpec("probabilities", "float32", (1, 3), "probabilities"),
        *(TensorSpec(name, "float32", (1, 1), name) for name in ONE),
    )
    canonical = ("NCHW", "RGB", "area", 1.0 / 255.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    picture = InputSpec("picture", "float32", (1, 3, 4, 4), *canonical)
    manifest = Manifest("m", "1", 0, "fused", "model.onnx", picture, outputs, CLASSES)
    return Scoring({"fused": AdmittedModel(manifest, b"", digest="aa", signer="")})


def reply(scoring: Scoring, told: Mapping[str, float]) -> Any:
    outputs = {name: np.array([[value]], np.float32) for name, value in told.items()}
    outputs["probabilities"] = np.array([[0.2, 0.7, 0.1]], np.float32)
    return scoring.reply(1, {"fused": Raw(("fused",), outputs)})


def test_signals_that_fit_the_answer_are_taken_as_they_are(scoring: Scoring) -> None:
    got = reply(scoring, HONEST)
    assert got.signals == pytest.approx(HONEST)
    assert got.scores.keys() == {"primary"}


@pytest.mark.parametrize(
    "told",
    [{"certainty": 0.99}, {"certainty": 0.4}, {"margin": 0.9}, {"margin": -0.5}, {"squeezing": float("nan")}],
)
def test_signals_that_the_answer_belies_are_no_answer(scoring: Scoring, told: dict[str, float]) -> None:
    got = reply(scoring, HONEST | told)
    assert (got.scores, got.signals) == ({}, {})


def test_a_rounding_graph_is_no_liar(scoring: Scoring) -> None:
    assert reply(scoring, HONEST | {"certainty": 0.7004, "margin": 0.4995}).scores
