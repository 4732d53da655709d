"""The tiny models of the inference room's tests, and models that see half of a picture: their failures are known."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgeguard.admission import AdmittedModel, TensorSpec
from edgeguard.calibrate.source import ImageSet
from tests.inference.conftest import CLASSES, SIZE, Tiny, tiny

__all__ = ["halves", "tiny"]

TOP, BOTTOM = range(4), range(4, 8)


class Halves:
    """Pictures whose top and bottom each have the colour of a class, and models that look at one of them."""

    def __init__(self, tiny_: Tiny) -> None:
        self.tiny = tiny_

    def model(self, rows: range, role: str = "redundant", *, gain: float = 1.0) -> AdmittedModel:
        """Says the colour of some rows. `gain` changes the bytes and the certainty, not the answer."""
        weights = np.zeros((3, SIZE, SIZE, 3), np.float32)
        for colour in range(3):
            weights[colour, rows, :, colour] = gain
        return self.tiny.model(
            [
                helper.make_node("Flatten", ["image"], ["flat"]),
                helper.make_node("MatMul", ["flat", "w"], ["logits"]),
            ],
            {"w": weights.reshape(-1, 3)},
            spec=self.tiny.spec(),
            outputs=[TensorSpec("logits", "float32", ("N", 3), "logits")],
            role=role,
        )

    def quantised(self, rows: range, role: str = "primary") -> AdmittedModel:
        """The same with int8 weights and an int8 input, between quantisation nodes."""
        weights = np.zeros((3, SIZE, SIZE, 3), np.int8)
        for colour in range(3):
            weights[colour, rows, :, colour] = 1
        nodes = [
            helper.make_node("QuantizeLinear", ["image", "step", "zero"], ["coarse"]),
            helper.make_node("DequantizeLinear", ["coarse", "step", "zero"], ["seen"]),
            helper.make_node("DequantizeLinear", ["w", "one", "zero"], ["weights"]),
            helper.make_node("Flatten", ["seen"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ]
        given: dict[str, np.ndarray[Any, Any]] = {
            "w": weights.reshape(-1, 3),
            "step": np.array(1 / 127, np.float32),
            "one": np.array(1.0, np.float32),
            "zero": np.array(0, np.int8),
        }
        outputs = [TensorSpec("logits", "float32", ("N", 3), "logits")]
        return self.tiny.model(nodes, given, spec=self.tiny.spec(), outputs=outputs, role=role)

    def fused(self, rows: range, primary: AdmittedModel) -> AdmittedModel:
        """One graph that stands for `primary`, and gives a squeezing that is the mean of the picture."""
        weights = np.zeros((3, SIZE, SIZE, 3), np.float32)
        for colour in range(3):
            weights[colour, rows, :, colour] = 0.5
        nodes = [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("MatMul", ["flat", "w"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ReduceMean", ["flat"], ["squeezing"], axes=[1], keepdims=0),
        ]
        outputs = [
            TensorSpec("probabilities", "float32", ("N", 3), "probabilities"),
            TensorSpec("squeezing", "float32", ("N",), "squeezing"),
        ]
        model = self.tiny.model(
            nodes, {"w": weights.reshape(-1, 3)}, spec=self.tiny.spec(), outputs=outputs, role="fused"
        )
        manifest = dataclasses.replace(model.manifest, parts={"primary": primary.digest})
        return dataclasses.replace(model, manifest=manifest)

    def dimming(self, rows: range) -> AdmittedModel:
        """A filter that blackens some rows: whoever looks there loses its answers."""
        mask = np.ones((1, 3, SIZE, SIZE), np.float32)
        mask[:, :, rows] = 0.0
        spec = self.tiny.spec()
        return self.tiny.model(
            [helper.make_node("Mul", ["image", "mask"], ["clean"])],
            {"mask": mask},
            spec=spec,
            outputs=[TensorSpec("clean", "float32", spec.shape, "image")],
            role="filter",
            classes=(),
        )

    def pictures(self, count: int, *, top_wrong: int = 10, bottom_wrong: int = 11) -> ImageSet:
        """In every `top_wrong`-th picture the top misleads, in every `bottom_wrong`-th (five later) the bottom."""
        truth = [i % 3 for i in range(count)]

        def picture(i: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
            image = np.full((SIZE, SIZE, 3), 40, np.uint8)
            top = (truth[i] + 1) % 3 if i % top_wrong == 0 else truth[i]
            bottom = (truth[i] + 2) % 3 if i % bottom_wrong == 5 else truth[i]
            image[:4, :, top] = 200 + i % 7
            image[4:, :, bottom] = 200 + i % 5
            return image

        labels = tuple(CLASSES[label] for label in truth)
        return ImageSet(count, lambda: map(picture, range(count)), labels, lambda i: f"picture {i}")


@pytest.fixture(scope="session")
def halves(tiny: Tiny) -> Halves:
    return Halves(tiny)
