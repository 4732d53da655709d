"""Tiny admitted models that say what a test wants, built in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeguard.admission import AdmittedModel, InputSpec, Manifest, TensorSpec

SIZE = 8
CLASSES = ("none", "stop", "yield")


class Tiny:
    """Builds models of 8 x 8 pixels and three classes."""

    size = SIZE
    classes = CLASSES

    def spec(self, **changes: Any) -> InputSpec:
        batch = changes.pop("batch", "N")
        layout = changes.get("layout", "NCHW")
        shape = (batch, 3, SIZE, SIZE) if layout == "NCHW" else (batch, SIZE, SIZE, 3)
        given = {
            "name": "image",
            "dtype": "float32",
            "shape": shape,
            "layout": layout,
            "color": "RGB",
            "resize": "area",
            "scale": 1 / 255,
            "mean": (0.0, 0.0, 0.0),
            "std": (1.0, 1.0, 1.0),
        }
        return InputSpec(**(given | changes))

    def model(
        self,
        nodes: Sequence[Any],
        weights: dict[str, np.ndarray[Any, Any]],
        *,
        spec: InputSpec,
        outputs: Sequence[TensorSpec],
        role: str = "primary",
        classes: tuple[str, ...] = CLASSES,
        temperature: float = 1.0,
        graph_shapes: dict[str, Sequence[Any]] | None = None,
    ) -> AdmittedModel:
        shapes = graph_shapes or {}
        graph = helper.make_graph(
            list(nodes),
            "tiny",
            [
                helper.make_tensor_value_info(
                    spec.name, TensorProto.FLOAT, list(shapes.get(spec.name, spec.shape))
                )
            ],
            [
                helper.make_tensor_value_info(o.name, TensorProto.FLOAT, list(shapes.get(o.name, o.shape)))
                for o in outputs
            ],
            [numpy_helper.from_array(array, name) for name, array in weights.items()],
        )
        data = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
        manifest = Manifest(
            f"tiny-{role}", "1.0.0", 1, role, "model.onnx", spec, tuple(outputs), classes, temperature
        )
        return AdmittedModel(manifest, data, hashlib.sha256(data).hexdigest(), "0" * 64)

    def classifier(
        self,
        *,
        seed: int = 0,
        role: str = "primary",
        batch: str | int = "N",
        novelty: bool = False,
        probabilities: bool = False,
        poison: float | None = None,
        classes: tuple[str, ...] = CLASSES,
        temperature: float = 1.0,
        **spec: Any,
    ) -> AdmittedModel:
        """A linear classifier. `poison`: a number added to every score after a division by itself, such as NaN."""
        weights = {
            "w": np.random.default_rng(seed).normal(size=(SIZE * SIZE * 3, len(classes))).astype(np.float32)
        }
        meaning = "probabilities" if probabilities else "logits"
        nodes = [helper.make_node("Flatten", ["image"], ["flat"])]
        last = "scores" if (probabilities or poison is not None) else meaning
        nodes.append(helper.make_node("MatMul", ["flat", "w"], [last]))
        if poison is not None:
            weights["p"] = np.array(poison, np.float32)
            nodes.append(helper.make_node("Add", ["scores", "p"], [meaning]))
        elif probabilities:
            nodes.append(helper.make_node("Softmax", ["scores"], [meaning], axis=1))
        outputs = [TensorSpec(meaning, "float32", (batch, len(classes)), meaning)]
        if novelty:
            nodes.append(helper.make_node("ReduceMean", ["flat"], ["novelty"], axes=[1], keepdims=0))
            outputs.append(TensorSpec("novelty", "float32", (batch,), "novelty"))
        return self.model(
            nodes,
            weights,
            spec=self.spec(batch=batch, **spec),
            outputs=outputs,
            role=role,
            classes=classes,
            temperature=temperature,
        )

    def filter(self, *, gain: float = 1.0, batch: str | int = "N", **spec: Any) -> AdmittedModel:
        """Multiplies the picture by `gain`, which may be NaN."""
        weights = {"gain": np.array(gain, np.float32)}
        declared = self.spec(batch=batch, **spec)
        return self.model(
            [helper.make_node("Mul", ["image", "gain"], ["clean"])],
            weights,
            spec=declared,
            outputs=[TensorSpec("clean", "float32", declared.shape, "image")],
            role="filter",
            classes=(),
        )

    def brittle(self) -> AdmittedModel:
        """A primary that fails while it runs: it gathers a row that a bright first pixel puts out of range."""
        weights: dict[str, np.ndarray[Any, Any]] = {
            "w": np.ones((SIZE * SIZE * 3, 3), np.float32),
            "zero": np.array([0], np.int64),
            "table": np.zeros((1, 1), np.float32),
            "start": np.array([0], np.int64),
            "end": np.array([1], np.int64),
            "axis": np.array([1], np.int64),
            "big": np.array(1000.0, np.float32),
            "limit": np.array(600.0, np.float32),
        }
        nodes = [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Slice", ["flat", "start", "end", "axis"], ["pixel"]),
            helper.make_node("Mul", ["pixel", "big"], ["large"]),
            helper.make_node("Sub", ["large", "limit"], ["above"]),
            helper.make_node("Relu", ["above"], ["positive"]),
            helper.make_node("Ceil", ["positive"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["index"], to=TensorProto.INT64),
            helper.make_node("Squeeze", ["index", "axis"], ["row"]),
            helper.make_node("Gather", ["table", "row"], ["found"], axis=0),
            helper.make_node("MatMul", ["flat", "w"], ["scores"]),
            helper.make_node("Add", ["scores", "found"], ["logits"]),
        ]
        return self.model(
            nodes,
            weights,
            spec=self.spec(),
            outputs=[TensorSpec("logits", "float32", ("N", 3), "logits")],
        )

    def frame(self, seed: int = 0, height: int = 16, width: int = 16) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    return Tiny()
