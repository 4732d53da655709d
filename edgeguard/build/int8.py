"""Static 8-bit quantisation of an admitted model, in the form that its runtime is fast with. Same inputs, same bytes.

Ranges come from pictures prepared as on the frame path. Whether the result is good enough is not decided here.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgeguard.build import needs
from edgeguard.build.graph import reads
from edgeguard.build.needs import Proto
from edgeguard.build.pictures import Tensors
from edgeguard.errors import ContractError, first_line

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.types import Image

OLDEST_OPSET = 13
"""Quantisation by channel begins here."""

_KEEP_FLOAT = ("Softmax", "LogSoftmax", "Sigmoid")
"""Steps of 1/256 are too coarse for a probability."""
_PASSING = (*_KEEP_FLOAT, "Flatten", "Reshape", "Squeeze", "Identity", "Clip")
"""What may stand between the last layer and the output without being a layer itself."""
_LAYERS = ("Conv", "Gemm", "MatMul")
_ANSWERS = ("logits", "probabilities", "image")


def quantise(model: AdmittedModel, pictures: Iterable[Image], target: str) -> bytes:
    """The 8-bit ONNX of an admitted ONNX `model` for a `target`; inputs and outputs stay float32.

    `target`: `cpu` (unsigned activations, biases in 32 bits: what onnxruntime's CPU kernels are fast with) or
    `tensorrt` (what goes into a layer symmetric and signed, biases in float: the form that TensorRT accepts).

    Stays in float: the first convolution (and a depthwise one after it), where 8 bits cost most and gain least;
    the last layer's output, so that close classes do not become equal; and what only a novelty needs, because distances
    do not survive 8 bits. `pictures`: uint8 (h, w, 3), any size; ranges are taken from them.

    Raises:
        UsageError: the `onnx` package is missing.
        ContractError: the model cannot be quantised; says why.
    """
    name = model.manifest.name
    if model.manifest.engine is not None or model.manifest.role == "fused":
        raise ContractError(
            f"bundle `{name}` is a plan or a fused graph: quantise the models it was made from, then build it again"
        )
    tools, onnx = needs.quantization(), needs.onnx()
    source = onnx.load_from_string(model.model)
    version = next((o.version for o in source.opset_import if o.domain in ("", "ai.onnx")), 0)
    if version < OLDEST_OPSET:
        raise ContractError(
            f"bundle `{name}` uses ONNX opset {version}: export it with {OLDEST_OPSET} or later"
        )
    answer = next(o.name for o in model.manifest.outputs if o.meaning in _ANSWERS)
    try:
        with tempfile.TemporaryDirectory(prefix="edgeguard-int8-") as folder, _quiet():
            result = _quantised(tools, onnx, source, answer, _Reader(model, pictures), target, Path(folder))
    except Exception as error:  # the tools raise kinds of their own
        raise ContractError(f"bundle `{name}` cannot be quantised: {first_line(error)}") from error
    _float_end(result.graph, answer)
    _drop_unused_domains(result)
    return bytes(result.SerializeToString(deterministic=True))


def _quantised(
    tools: Proto, onnx: Proto, source: Proto, answer: str, reader: _Reader, target: str, folder: Path
) -> Proto:
    prepared, done = folder / "prepared.onnx", folder / "int8.onnx"
    tools.shape_inference.quant_pre_process(source, str(prepared), skip_symbolic_shape=True)
    graph = onnx.load(str(prepared))
    for i, node in enumerate(graph.graph.node):
        node.name = f"n{i}"
    onnx.save(graph, str(prepared))
    whole = _ancestors(graph.graph, answer) - _entrance(graph.graph, target)
    tools.quantize_static(
        str(prepared),
        str(done),
        reader,
        quant_format=tools.QuantFormat.QDQ,
        per_channel=True,
        weight_type=tools.QuantType.QInt8,
        nodes_to_exclude=[
            node.name for node in graph.graph.node if node.op_type in _KEEP_FLOAT or node.name not in whole
        ],
        calibrate_method=tools.CalibrationMethod.MinMax,
        **_form(tools, target),
    )
    return onnx.load(str(done))


def _form(tools: Proto, target: str) -> dict[str, object]:
    """What differs between the targets."""
    if target == "cpu":
        return {"activation_type": tools.QuantType.QUInt8}
    # TensorRT wants what goes into a layer in 8 bits, and decides by itself what it can fuse behind one.
    return {
        "activation_type": tools.QuantType.QInt8,
        "op_types_to_quantize": list(_LAYERS),
        "extra_options": {
            "ActivationSymmetric": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(_LAYERS),
        },
    }


class _Reader:
    """Gives the quantiser one batch after the other, in the shape of its `CalibrationDataReader`."""

    def __init__(self, model: AdmittedModel, pictures: Iterable[Image]) -> None:
        tensors, name = Tensors(model.manifest), model.manifest.input.name
        self._feeds: Iterator[dict[str, Proto]] = ({name: tensors(image)} for image in pictures)

    def get_next(self) -> dict[str, Proto] | None:
        """The next input by name; None: that was all."""
        return next(self._feeds, None)


def _ancestors(graph: Proto, tensor: str) -> set[str]:
    """Names of the nodes that a tensor depends on."""
    makers = {output: node for node in graph.node for output in node.output}
    found: set[str] = set()
    pending = [tensor]
    while pending:
        node = makers.get(pending.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            pending += list(node.input)
    return found


def _entrance(graph: Proto, target: str) -> set[str]:
    """Names of the first convolution, of a second where that is depthwise, and for TensorRT of what comes before."""
    layers = [node for node in graph.node if node.op_type == "Conv"]
    second = [node for node in layers[1:2] if any(a.name == "group" and a.i > 1 for a in node.attribute)]
    # onnxruntime runs a network of padding, convolution and pooling twice as fast when the padding is in 8 bits.
    before = [_ancestors(graph, node.output[0]) for node in layers[:1]] if target == "tensorrt" else []
    return {node.name for node in layers[:1] + second}.union(*before)


def _float_end(graph: Proto, answer: str) -> None:
    """Take out the last rounding to 8 bits before the answer."""
    makers = {output: node for node in graph.node for output in node.output}
    tensor = answer
    while (node := makers.get(tensor)) is not None and node.op_type in _PASSING:
        tensor = node.input[0]
    rounding = makers.get(node.input[0]) if node is not None and node.op_type == "DequantizeLinear" else None
    if node is None or rounding is None or rounding.op_type != "QuantizeLinear":
        return
    layer = makers.get(rounding.input[0])
    if layer is None:
        return
    exact, graph_outputs = rounding.input[0], {output.name for output in graph.output}
    if exact in graph_outputs:
        return
    layer.output[list(layer.output).index(exact)] = tensor
    for user in graph.node:
        for i, name in enumerate(user.input):
            if name == exact and user is not rounding:
                user.input[i] = tensor
    graph.node.remove(node)
    graph.node.remove(rounding)
    used = {name for user in graph.node for name in reads(user)}
    for weight in [weight for weight in graph.initializer if weight.name not in used]:
        graph.initializer.remove(weight)


def _drop_unused_domains(model: Proto) -> None:
    """The tools leave every domain that they know; a strict parser asks for each of them."""
    used = {"" if node.domain == "ai.onnx" else node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """The tools advise at length on the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
