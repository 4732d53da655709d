"""Builds a plan from verified ONNX, for the machine it runs on (TensorRT) or any of its kind (TensorRT-RTX).

Precision is the graph's: no layer is made less precise than the ONNX says. A plan is never the same twice, so it is
its bytes that are measured and signed. Writes no file and reads none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeguard.admission.manifest import Engine
from edgeguard.errors import ContractError
from edgeguard.inference.conformance import MOST_ROWS, Edge, check_edges
from edgeguard.inference.tensorrt.backend import ANY, here, import_tensorrt
from edgeguard.inference.tensorrt.cuda import Cuda
from edgeguard.inference.tensorrt.logger import Recorder, recorder

if TYPE_CHECKING:
    from edgeguard.inference.session import ModelContract
    from edgeguard.inference.tensorrt.api import Builder, Network, NetworkTensor, Parser, TensorRt

_RTX = "tensorrt-rtx"


@dataclass(frozen=True, slots=True)
class Plan:
    """A serialised plan, and what it may run with. It is executable code: sign it, and run it only when admitted."""

    data: bytes
    engine: Engine


def build_plan(model: bytes, contract: ModelContract, kind: str) -> Plan:
    """A plan of the ONNX `model` for the backend `kind`: `tensorrt`, or `tensorrt-rtx`, which needs no device.

    The plan takes the contract's input in every batch size of the frame path, and gives the contract's outputs only.

    Raises:
        ContractError: the module or the device is missing; or a node of the graph is not one that TensorRT takes, or
            the graph is not what the contract says; names the bundle, and the node.
    """
    capability = ANY if kind == _RTX else Cuda.load().probe().compute_capability
    trt = import_tensorrt(kind)
    try:
        data = _built(trt, model, contract)
    except ContractError:
        raise
    except Exception as error:  # the runtime raises kinds of its own
        raise ContractError(f"bundle `{contract.bundle}`: {kind} cannot build a plan: {error}") from error
    return Plan(data, Engine(kind, trt.__version__, capability, here()))


def _built(trt: TensorRt, model: bytes, contract: ModelContract) -> bytes:
    log = recorder(trt)
    builder = trt.Builder(log)
    network = builder.create_network(_strongly_typed(trt))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        raise ContractError(_complaint(contract, parser, log))
    _check_network(trt, network, contract)
    plan = _plan(trt, builder, network, contract)
    if plan is None:
        raise ContractError(
            f"bundle `{contract.bundle}`: TensorRT cannot build a plan ({log.last()}): change the ONNX and sign again"
        )
    return bytes(plan)


def _strongly_typed(trt: TensorRt) -> int:
    """The flags of a network whose types are the graph's; from TensorRT 11 on there is no other kind."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _complaint(contract: ModelContract, parser: Parser, log: Recorder) -> str:
    """What the parser did not take, by the name of the node."""
    words = [
        f"node `{error.node_name()}` ({error.node_operator()}): {error.desc().splitlines()[0]}"
        for error in (parser.get_error(i) for i in range(parser.num_errors))
        if error.node_operator()
    ]
    return (
        f"bundle `{contract.bundle}`: TensorRT does not take the graph: {'; '.join(words) or log.last()}. export the "
        "model with operators it has; int8 with `QuantizeBias=False` and `ActivationSymmetric=True`"
    )


def _check_network(trt: TensorRt, network: Network, contract: ModelContract) -> None:
    """Hold the graph to the contract, and drop the outputs that nobody reads."""
    outputs = [network.get_output(i) for i in range(network.num_outputs)]
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    check_edges(contract, _edges(trt, inputs), _edges(trt, outputs))
    read = {output.name for output in contract.outputs}
    for tensor in outputs:
        if tensor.name not in read:
            network.unmark_output(tensor)


def _edges(trt: TensorRt, tensors: list[NetworkTensor]) -> list[Edge]:
    return [
        Edge(
            tensor.name,
            "float32" if tensor.dtype == trt.DataType.FLOAT else str(tensor.dtype).rpartition(".")[2].lower(),
            [size if size >= 0 else "N" for size in tensor.shape],
        )
        for tensor in tensors
    ]


def _plan(trt: TensorRt, builder: Builder, network: Network, contract: ModelContract) -> bytes | None:
    config = builder.create_builder_config()
    # On by default: it would round float32 to ten bits.
    config.clear_flag(trt.BuilderFlag.TF32)
    # TensorRT-RTX only: all memory is the caller's, without which nothing can be captured into a CUDA graph.
    own_memory = getattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION", None)
    if own_memory is not None:
        config.set_flag(own_memory)
    if -1 in network.get_input(0).shape:
        profile = builder.create_optimization_profile()
        most = MOST_ROWS if contract.batched else 1
        profile.set_shape(
            contract.input_name, contract.input_of(1), contract.input_of(1), contract.input_of(most)
        )
        if config.add_optimization_profile(profile) < 0:
            raise ContractError(
                f"bundle `{contract.bundle}`: the graph does not take 1 to {most} pictures at once"
            )
    return builder.build_serialized_network(network, config)
