"""Networks of a real size with random weights, made without a framework: what a plan is built from in every run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

# (expansion, channels, repeats, stride, kernel) of EfficientNet-lite0's seven stages.
# Source: Tan and Le, "EfficientNet", ICML 2019, table 1, without squeeze-and-excitation and with ReLU6.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000


class _Net:
    """A graph that grows at one end."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {"zero": np.float32(0), "six": np.float32(6)}

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def weight(self, shape: tuple[int, ...], fan_in: int) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = self.random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        return name

    def conv(
        self,
        x: str,
        channels: tuple[int, int],
        kernel: int,
        stride: int = 1,
        *,
        deep: bool = False,
        clip: bool = True,
    ) -> str:
        """A convolution with bias; `deep`: one filter a channel; `clip`: ReLU6 behind it."""
        given, made = channels
        each = 1 if deep else given
        weight = self.weight((made, each, kernel, kernel), each * kernel * kernel)
        bias = self.weight((made,), 100)
        attributes = {
            "kernel_shape": [kernel] * 2,
            "strides": [stride] * 2,
            "pads": [kernel // 2] * 4,
            "group": given if deep else 1,
        }
        y = self.add("Conv", [x, weight, bias], **attributes)
        return self.add("Clip", [y, "zero", "six"]) if clip else y


def _blocks() -> Iterator[tuple[int, int, int, int, int]]:
    """(expansion, given channels, made channels, stride, kernel) of every block."""
    given = _STEM
    for expansion, channels, repeats, stride, kernel in _STAGES:
        for i in range(repeats):
            yield expansion, given, channels, stride if i == 0 else 1, kernel
            given = channels


def efficientnet_lite0(side: int = 224, seed: int = 0) -> bytes:
    """An ONNX model: `image` (N, 3, side, side) -> `logits` (N, 1000)."""
    net = _Net(seed)
    x = net.conv("image", (3, _STEM), 3, 2)
    for expansion, given, made, stride, kernel in _blocks():
        wide = given * expansion
        y = net.conv(x, (given, wide), 1) if expansion > 1 else x
        y = net.conv(y, (wide, wide), kernel, stride, deep=True)
        y = net.conv(y, (wide, made), 1, clip=False)
        x = net.add("Add", [x, y]) if stride == 1 and given == made else y
    x = net.conv(x, (_STAGES[-1][1], _HEAD), 1)
    x = net.add("Flatten", [net.add("GlobalAveragePool", [x])])
    weight, bias = net.weight((_HEAD, _CLASSES), _HEAD), net.weight((_CLASSES,), 100)
    net.nodes.append(helper.make_node("Gemm", [x, weight, bias], ["logits"], name="classifier"))
    graph = helper.make_graph(
        net.nodes,
        "efficientnet-lite0",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", _CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in net.weights.items()],
    )
    return bytes(
        helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
        ).SerializeToString()
    )
