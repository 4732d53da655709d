"""What a model file holds, looked at before any inference engine may see its bytes.

An ONNX model is parsed, held to limits and to its manifest, and sized. Nothing is loaded or executed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgeguard.admission import formats
from edgeguard.admission.graph.call import MisfitError, OpenError, Value
from edgeguard.admission.graph.checks import all_nodes, check_graph, operators_of, stored_and_computed
from edgeguard.admission.graph.contract import check_edges, check_outputs, free_inputs, input_of, rows_of
from edgeguard.admission.graph.facts import Edge, GraphFacts
from edgeguard.admission.graph.parse import EngineError, parse_model
from edgeguard.admission.graph.sizing import Budget, Sized, Sizer, TooMuchError, opened
from edgeguard.admission.graph.tensors import ExternalError
from edgeguard.admission.graph.values import BITS, NAMES, Declared, Model
from edgeguard.admission.protobuf import BYTES, WireError, read_fields
from edgeguard.admission.reasons import refusal, shown
from edgeguard.terms import Limits

if TYPE_CHECKING:
    from edgeguard.admission.manifest import Manifest

_EXPORT = (
    "export the model again as one ONNX file (`onnx.save(model, path)` with all weights inside) and sign it"
)
_FIXED = (
    "export the model with fixed shapes (only the batch open), or fold what it works out with "
    "`onnxsim model.onnx model.onnx`, and sign it"
)
_SMALLER = (
    "export a smaller model, or raise `admission.limits.memory` in the policy if it is meant to be so large"
)

_REBUILD = "build it again with `edgeguard build plan`"
_SMALLEST_PLAN = 64
"""Bytes; an engine's header alone is larger."""
_GRAPH_FIELD = 7
_UNLIMITED = 1 << 62


def inspect_files(files: Mapping[str, bytes], folder: str) -> None:
    """Refuse files that no bundle may hold, whatever their names: formats that run code when they are loaded.

    Raises:
        AdmissionError: `pickle` or `custom-operator`.
    """
    for name, data in files.items():
        formats.check_file(name, data, f"{folder}/{name}")


def inspect_model(data: bytes, manifest: Manifest, limits: Limits, path: str) -> None:
    """Refuse a model that is not what its manifest says, or that no engine should see. `path` is only for messages.

    Raises:
        AdmissionError: `model-invalid`, `external-data`, `engine-context`, `too-large`, `opset-unsupported`,
            `operator-unknown`, `custom-operator`, `contract-mismatch` or `too-much-memory`.
    """
    formats.check_file(manifest.file, data, path)
    if manifest.engine is not None:
        inspect_plan(data, path)
        return
    model = _parsed(data, path)
    check_graph(model, limits, path)
    check_edges(model, manifest, path)
    for rows in rows_of(manifest):
        sized = _sized(model, {manifest.input.name: input_of(manifest, rows)}, limits, rows, path)
        check_outputs(model, sized, manifest, rows, path)


def inspect_onnx(data: bytes, path: str, limits: Limits = Limits()) -> None:
    """Refuse bytes that are not a self-contained ONNX model within limits. `path` is only for messages.

    Without a manifest: where the graph leaves more open than the batch, its memory is not looked at.

    Raises:
        AdmissionError: as `inspect_model`, but for `contract-mismatch`.
    """
    model = _parsed(data, path)
    check_graph(model, limits, path)
    given = _declared_inputs(model)
    if given is not None:
        _sized(model, given, limits, 1, path)


def describe_onnx(data: bytes, path: str) -> GraphFacts:
    """What an ONNX file is, in figures; it may be beyond every limit. `path` is only for messages.

    Raises:
        AdmissionError: `model-invalid`, `external-data` or `engine-context`: it cannot be described.
    """
    model = _parsed(data, path)
    nodes = list(all_nodes(model))
    local = {function.domain for function in model.functions.values()}
    memory, why, outputs = _measured(model)
    return GraphFacts(
        ir_version=model.ir_version,
        opsets=dict(sorted(model.opsets.items())),
        operators=operators_of(nodes),
        custom_domains=tuple(sorted({node.domain for node in nodes if node.domain} - local)),
        functions=tuple(sorted({function.label for function in model.functions.values()})),
        nodes=len(nodes),
        tensors=stored_and_computed(model, nodes),
        weight_bytes=model.weight_bytes,
        memory=memory,
        why_open=why,
        inputs=tuple(map(_edge, free_inputs(model))),
        outputs=outputs,
        producer=shown(model.producer),
    )


def _edge(value: Declared) -> Edge:
    return Edge(value.name, NAMES.get(value.dtype, "") if value.dtype else "", value.dims)


def _measured(model: Model) -> tuple[int | None, str, tuple[Edge, ...]]:
    """(bytes, why they are not known, outputs)."""
    outputs = tuple(map(_edge, model.graph.outputs))
    given = _declared_inputs(model)
    if given is None:
        return None, "the graph leaves more open than the batch", outputs
    try:
        sized = Sizer(model, Budget(_UNLIMITED, Limits().nodes), 1).size(given)
    except (MisfitError, OpenError, TooMuchError) as error:
        return None, shown(str(error)), outputs
    filled = (
        edge if edge.shape is not None else Edge(edge.name, NAMES[value.dtype], value.dims)
        for edge, value in zip(outputs, sized.outputs)
    )
    return sized.memory, "", tuple(filled)


def _declared_inputs(model: Model) -> dict[str, Value] | None:
    """The graph's inputs for one picture; None where it leaves more open."""
    found = {}
    for value in free_inputs(model):
        dims = opened(value.dims, 1)
        if dims is None or value.dtype not in BITS:
            return None
        found[value.name] = Value(value.dtype, dims)
    return found


def _parsed(data: bytes, path: str) -> Model:
    if data[4:8] == formats.ORT_FORMAT:
        raise refusal(
            "model-invalid", path, f"this is onnxruntime's own format and cannot be inspected: {_EXPORT}"
        )
    try:
        return parse_model(data)
    except ExternalError:
        raise refusal(
            "external-data", path, f"a tensor takes its values from another file: {_EXPORT}"
        ) from None
    except EngineError:
        raise refusal(
            "engine-context", path, f"it carries an engine compiled for one device: {_EXPORT}"
        ) from None
    except WireError as error:
        raise refusal(
            "model-invalid", path, f"this is not an ONNX file ({shown(str(error))}): {_EXPORT}"
        ) from None


def _sized(model: Model, given: Mapping[str, Value], limits: Limits, rows: int, path: str) -> Sized:
    """The model's shapes and memory. What is allowed is for one picture, so it is more for several."""
    try:
        return Sizer(model, Budget(rows * limits.memory, limits.nodes), rows).size(given)
    except MisfitError as error:
        raise refusal(
            "model-invalid", path, f"no runtime could run it, {shown(str(error))}: {_EXPORT}"
        ) from None
    except OpenError as error:
        raise refusal(
            "too-much-memory", path, f"how much memory it needs is not known, {shown(str(error))}: {_FIXED}"
        ) from None
    except TooMuchError as error:
        raise refusal("too-much-memory", path, f"{shown(str(error))}: {_SMALLER}") from None


def inspect_plan(data: bytes, path: str) -> None:
    """Refuse bytes that are no plan. What is in a plan cannot be inspected: it is trusted for its signature alone.

    Raises:
        AdmissionError: `model-invalid`, `pickle` or `custom-operator`.
    """
    if len(data) < _SMALLEST_PLAN:
        raise refusal("model-invalid", path, f"this is not an engine plan ({len(data)} bytes): {_REBUILD}")
    formats.check_file("", data, path)
    if data[4:8] == formats.ORT_FORMAT or _is_onnx(data) or data.startswith(formats.ZIP):
        raise refusal(
            "model-invalid",
            path,
            "the manifest says `engine`, but this is no plan: take `engine` out, or build the plan with "
            "`edgeguard build plan`",
        )


def _is_onnx(data: bytes) -> bool:
    """Whether it could pass for ONNX at all, in order or not: messages up to its end, one of them where a graph is."""
    try:
        fields = [(number, wire) for number, wire, _, _ in read_fields(data, 0, len(data))]
    except WireError:
        return False
    return (_GRAPH_FIELD, BYTES) in fields
