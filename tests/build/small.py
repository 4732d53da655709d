"""Small random classifiers and filters of every shape that a manifest can declare, and pictures for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgeguard.admission import AdmittedModel, InputSpec, Manifest, TensorSpec
from edgeguard.calibrate import ImageSet

CLASSES = ("none", "stop", "yield", "go")


@dataclass(frozen=True)
class Kind:
    """What a model is like."""

    height: int = 6
    width: int = 8
    layout: str = "NCHW"
    color: str = "RGB"
    resize: str = "area"
    batch: str | int = "N"
    meaning: str = "logits"
    novelty: bool = False
    temperature: float = 1.0
    normalised: bool = True
    opset: int = 17
    seed: int = 0

    @property
    def spec(self) -> InputSpec:
        sides = (3, self.height, self.width) if self.layout == "NCHW" else (self.height, self.width, 3)
        return InputSpec(
            name="image",
            dtype="float32",
            shape=(self.batch, *sides),
            layout=self.layout,
            color=self.color,
            resize=self.resize,
            scale=1 / 255,
            mean=(0.4, 0.5, 0.6) if self.normalised else (0.0, 0.0, 0.0),
            std=(0.2, 0.25, 0.3) if self.normalised else (1.0, 1.0, 1.0),
        )


class _Net:
    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.random = np.random.default_rng(kind.seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.top = "image"

    def weight(self, *shape: int, spread: float = 0.5) -> str:
        name = f"w{len(self.weights)}"
        values = self.random.normal(0, spread, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        self.top = to or f"t{len(self.nodes)}"
        name = f"node{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [self.top], name=name, **attributes))
        return self.top

    def model(self, role: str, outputs: tuple[TensorSpec, ...], classes: tuple[str, ...]) -> AdmittedModel:
        spec = self.kind.spec
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, list(spec.shape))],
            [helper.make_tensor_value_info(o.name, TensorProto.FLOAT, list(o.shape)) for o in outputs],
            self.weights,
        )
        opsets = [helper.make_opsetid("", self.kind.opset)]
        data = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
        manifest = Manifest(
            name=f"small-{role}",
            version="1.0.0",
            security_version=2,
            role=role,
            file="model.onnx",
            input=spec,
            outputs=outputs,
            classes=classes,
            temperature=self.kind.temperature if classes else 1.0,
        )
        return AdmittedModel(manifest, data, hashlib.sha256(data).hexdigest(), "0" * 64)


def classifier(role: str = "primary", **changes: Any) -> AdmittedModel:
    """A factor, two convolutions and a layer; `novelty`: the length of its features."""
    kind = Kind(**changes)
    net, batch = _Net(kind), kind.batch
    if kind.layout == "NHWC":
        net.add("Transpose", "image", perm=[0, 3, 1, 2])
    net.add(
        "Mul", net.top, net.weight(1)
    )  # a constant at the entrance, which TensorRT does not take in 8 bits
    net.add("Conv", net.top, net.weight(4, 3, 3, 3), net.weight(4), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.add("Relu", net.top)
    net.add("Conv", net.top, net.weight(5, 4, 3, 3), net.weight(5), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.add("Relu", net.top)
    net.add("GlobalAveragePool", net.top)
    features = net.add("Flatten", net.top)
    outputs = []
    if kind.novelty:
        net.add("Mul", features, features)
        net.add("MatMul", net.top, net.weight(5, 1), to="novelty")
        outputs.append(TensorSpec("novelty", "float32", (batch, 1), "novelty"))
    logits = kind.meaning == "logits"
    net.add("Gemm", features, net.weight(5, 4, spread=3.0), net.weight(4), to="logits" if logits else "")
    if not logits:
        net.add("Softmax", net.top, axis=1, to="probabilities")
    outputs.insert(0, TensorSpec(kind.meaning, "float32", (batch, len(CLASSES)), kind.meaning))
    return net.model(role, tuple(outputs), CLASSES)


def denoiser(**changes: Any) -> AdmittedModel:
    """A filter that adds a little of a convolution to the picture, beyond [0, 1] here and there."""
    kind = Kind(**{"normalised": False, **changes})
    net = _Net(kind)
    if kind.layout == "NHWC":
        net.add("Transpose", "image", perm=[0, 3, 1, 2])
    picture = net.top
    net.add(
        "Conv",
        picture,
        net.weight(3, 3, 3, 3, spread=0.1),
        net.weight(3),
        kernel_shape=[3, 3],
        pads=[1, 1, 1, 1],
    )
    last = kind.layout == "NHWC"
    net.add("Add", net.top, picture, to="" if last else "filtered")
    if last:
        net.add("Transpose", net.top, perm=[0, 2, 3, 1], to="filtered")
    return net.model("filter", (TensorSpec("filtered", "float32", kind.spec.shape, "image"),), ())


def pictures(count: int, *, height: int = 6, width: int = 8, seed: int = 0, labels: bool = False) -> ImageSet:
    """Blobs of colour, twice as large as the models look at them."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 2, 2, 3), np.uint8)
    images = np.kron(coarse, np.ones((1, height, width, 1), np.uint8))
    noisy = np.clip(images + random.normal(0, 12, images.shape), 0, 255).astype(np.uint8)
    names = tuple(CLASSES[int(i)] for i in random.integers(0, len(CLASSES), count)) if labels else None

    def play() -> Iterator[Any]:
        return iter(noisy)

    return ImageSet(count, play, names, lambda i: f"picture {i}")
