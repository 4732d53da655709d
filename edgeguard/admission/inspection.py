"""What a model file holds, looked at before any inference engine may see its bytes.

Walks every node and every tensor (initializers, sparse tensors, attributes, subgraphs, functions, training graphs).
An ONNX model that names other files, or that carries a compiled engine, is refused. Nothing is loaded or executed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from edgeguard.admission.protobuf import BYTES, VARINT, WireError, read_fields
from edgeguard.admission.reasons import refusal
from edgeguard.errors import AdmissionError

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Manifest
    from edgeguard.terms import Limits

MAX_DEPTH = 100
"""Nested messages; protobuf's own parsers stop at the same depth."""
MAX_FIELDS = 4_000_000

_EXPORT = (
    "export the model again as one ONNX file (`onnx.save(model, path)` with all weights inside) and sign it"
)

_REBUILD = "build it again with `edgeguard build plan`"
_SMALLEST_PLAN = 64
"""Bytes; an engine's header alone is larger."""

# The messages of onnx.proto that lead to a node or a tensor, and by which field numbers.
_MODEL, _TRAINING, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _TENSOR, _SPARSE = range(8)
_CHILDREN: Mapping[int, Mapping[int, int]] = MappingProxyType(
    {
        _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
        _TRAINING: {1: _GRAPH, 2: _GRAPH},
        _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
        _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
        _NODE: {5: _ATTRIBUTE},
        _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
        _TENSOR: {},
        _SPARSE: {1: _TENSOR, 2: _TENSOR},
    }
)
_MODEL_GRAPH = 7
_NODE_OP_TYPE = 4
_TENSOR_EXTERNAL_DATA = 13
_TENSOR_DATA_LOCATION = 14

_ORT_FORMAT = b"ORTM"
"""At byte 4: onnxruntime's own flatbuffer format, which the engine would recognise before it tries ONNX."""


def inspect_files(files: Mapping[str, bytes], folder: str) -> None:
    """Refuse files that no bundle may hold, whatever their names: formats that run code when they are loaded.

    Raises:
        AdmissionError: `pickle`.
    """


def inspect_model(data: bytes, manifest: Manifest, limits: Limits, path: str) -> None:
    """Refuse a model that is not what its manifest says, or that no engine should see. `path` is only for messages.

    Raises:
        AdmissionError: `model-invalid`, `external-data`, `engine-context`, ...
    """
    if manifest.engine is None:
        inspect_onnx(data, path)
    else:
        inspect_plan(data, path)


def inspect_onnx(data: bytes, path: str) -> None:
    """Refuse bytes that are not a self-contained ONNX model. `path` is only for messages.

    Raises:
        AdmissionError: `model-invalid`, `external-data` or `engine-context`.
    """
    if data[4:8] == _ORT_FORMAT:
        raise refusal(
            "model-invalid", path, f"this is onnxruntime's own format and cannot be inspected: {_EXPORT}"
        )
    try:
        has_graph = _walk(data, path)
    except WireError as error:
        raise refusal("model-invalid", path, f"this is not an ONNX file ({error}): {_EXPORT}") from None
    if not has_graph:
        raise refusal("model-invalid", path, f"this is not an ONNX file (it has no graph): {_EXPORT}")


def _walk(data: bytes, path: str) -> bool:
    """Visit every message that matters, without recursion. Returns whether the model has a graph."""
    budget = MAX_FIELDS
    has_graph = False
    pending = [(_MODEL, 0, len(data), 0)]
    while pending:
        kind, start, end, depth = pending.pop()
        children = _CHILDREN[kind]
        for number, wire, a, b in read_fields(data, start, end):
            budget -= 1
            child = children.get(number)
            if child is not None:
                if wire != BYTES or depth >= MAX_DEPTH or budget < 0:
                    raise WireError(f"message of the wrong type, too deep or too many near byte {a}")
                has_graph = has_graph or (kind == _MODEL and number == _MODEL_GRAPH)
                pending.append((child, a, b, depth + 1))
            elif kind == _TENSOR:
                _check_tensor_field(number, wire, a, path)
            elif kind == _NODE and number == _NODE_OP_TYPE:
                _check_operator(data[a:b] if wire == BYTES else b"", path)
        if budget < 0:
            raise WireError(f"more than {MAX_FIELDS} fields")
    return has_graph


def _check_tensor_field(number: int, wire: int, value: int, path: str) -> None:
    inside = number == _TENSOR_DATA_LOCATION and wire == VARINT and value == 0
    if number in (_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION) and not inside:
        raise refusal("external-data", path, f"a tensor takes its values from another file: {_EXPORT}")


def _check_operator(name: bytes, path: str) -> None:
    if not name:
        raise WireError("a node has no operator")
    if name == b"EPContext":
        raise refusal("engine-context", path, f"it carries an engine compiled for one device: {_EXPORT}")


def inspect_plan(data: bytes, path: str) -> None:
    """Refuse bytes that are no plan. What is in a plan cannot be inspected: it is trusted for its signature alone.

    Raises:
        AdmissionError: `model-invalid`.
    """
    if len(data) < _SMALLEST_PLAN:
        raise refusal("model-invalid", path, f"this is not an engine plan ({len(data)} bytes): {_REBUILD}")
    if data[4:8] == _ORT_FORMAT or _is_onnx(data, path):
        raise refusal(
            "model-invalid",
            path,
            "the manifest says `engine`, but this is no plan: take `engine` out, or build the plan with "
            "`edgeguard build plan`",
        )


def _is_onnx(data: bytes, path: str) -> bool:
    try:
        return _walk(data, path)
    except WireError:
        return False
    except AdmissionError:  # an ONNX model, and one that would be refused
        return True
