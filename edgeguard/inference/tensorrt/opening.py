"""From a deserialised plan to lanes that run: contract checked, contexts made, memory taken, graphs captured.

Happens once, when a model is loaded. Whatever does not fit is refused here, so that no frame meets it.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress

from edgeguard.errors import ContractError, EdgeguardError
from edgeguard.inference.conformance import MOST_ROWS, Edge, check_edges
from edgeguard.inference.session import InferenceError, ModelContract
from edgeguard.inference.tensorrt.api import Context, Engine, Handle, TensorRt
from edgeguard.inference.tensorrt.cuda import Cuda
from edgeguard.inference.tensorrt.lane import Lane
from edgeguard.inference.tensorrt.memory import Room, room


def open_lanes(
    trt: TensorRt,
    cuda: Cuda,
    stream: Handle,
    engine: Engine,
    contract: ModelContract,
    held: ExitStack,
    *,
    mapped: bool,
) -> dict[int, Lane]:
    """A warmed-up lane for every batch size of the frame path, freed by `held`.

    Raises:
        ContractError: the plan does not keep its contract.
        InferenceError: a call failed.
    """
    lanes: dict[int, Lane] = {}
    # Contexts go after the graphs and the memory they were captured with.
    held.callback(lanes.clear)
    try:
        _check_tensors(trt, engine, contract)
        for rows in _batches(engine, contract):
            lanes[rows] = _lane(trt, cuda, stream, engine, contract, rows, held, mapped=mapped)
            lanes[rows].prepare(held)
    except Exception as error:
        # Nothing may run any more when its memory is freed.
        with suppress(InferenceError):
            cuda.wait(stream)
        if isinstance(error, EdgeguardError):
            raise
        raise InferenceError(
            f"the plan cannot be opened: {error}"
        ) from error  # the runtime raises kinds of its own
    return lanes


def _check_tensors(trt: TensorRt, engine: Engine, contract: ModelContract) -> None:
    """Hold the plan's tensors to the manifest; all of them lie on the device, row after row."""
    edges: dict[bool, list[Edge]] = {True: [], False: []}
    for name in _names(engine):
        shape = [size if size >= 0 else "N" for size in engine.get_tensor_shape(name)]
        dtype = engine.get_tensor_dtype(name)
        word = "float32" if dtype == trt.DataType.FLOAT else str(dtype).rpartition(".")[2].lower()
        edges[engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT].append(Edge(name, word, shape))
        if (
            engine.get_tensor_location(name) != trt.TensorLocation.DEVICE
            or engine.get_tensor_format(name) != trt.TensorFormat.LINEAR
        ):
            raise ContractError(
                f"bundle `{contract.bundle}`: tensor `{name}` of the plan is not a plain one in device memory: "
                "rebuild it with `edgeguard build`"
            )
    check_edges(contract, edges[True], edges[False])
    extra = sorted({edge.name for edge in edges[False]} - {output.name for output in contract.outputs})
    if extra:
        raise ContractError(
            f"bundle `{contract.bundle}`: the plan also gives `{'`, `'.join(extra)}`, which nobody reads: rebuild it "
            "with `edgeguard build`"
        )


def _batches(engine: Engine, contract: ModelContract) -> tuple[int, ...]:
    """The batch sizes that will occur; every one within what the plan was built for."""
    rows = tuple(range(1, MOST_ROWS + 1)) if contract.batched else (1,)
    if engine.get_tensor_shape(contract.input_name)[0] >= 0:
        return rows  # a plan of a fixed batch: `check_edges` saw that it is 1
    least, _, most = engine.get_tensor_profile_shape(contract.input_name, 0)
    if least[0] > rows[0] or most[0] < rows[-1]:
        raise ContractError(
            f"bundle `{contract.bundle}`: the plan takes {least[0]} to {most[0]} pictures at once, and up to "
            f"{rows[-1]} are looked at: rebuild it with `edgeguard build`"
        )
    return rows


def _lane(
    trt: TensorRt,
    cuda: Cuda,
    stream: Handle,
    engine: Engine,
    contract: ModelContract,
    rows: int,
    held: ExitStack,
    *,
    mapped: bool,
) -> Lane:
    context = _context(trt, engine)
    shape = contract.input_of(rows)
    if not context.set_input_shape(contract.input_name, shape):
        raise ContractError(f"bundle `{contract.bundle}`: the plan does not take the shape {list(shape)}")
    if missing := context.infer_shapes():
        raise ContractError(
            f"bundle `{contract.bundle}`: the plan does not say the shape of `{'`, `'.join(missing)}`"
        )
    given = room(cuda, shape, held, mapped=mapped)
    outputs: dict[str, Room] = {}
    for output in contract.outputs:
        wanted, found = contract.output_of(output, rows), tuple(context.get_tensor_shape(output.name))
        if found != wanted:
            raise ContractError(
                f"bundle `{contract.bundle}`: output `{output.name}` of the plan has the shape {list(found)} for "
                f"{rows} pictures, declared is {list(wanted)}"
            )
        outputs[output.name] = room(cuda, wanted, held, mapped=mapped)
    for name, memory in ((contract.input_name, given), *outputs.items()):
        if not context.set_tensor_address(name, memory.device):
            raise InferenceError(f"set_tensor_address was refused for `{name}`")
    return Lane(cuda, stream, context, given, outputs)


def _context(trt: TensorRt, engine: Engine) -> Context:
    strategies = getattr(trt, "DynamicShapesKernelSpecializationStrategy", None)
    if strategies is None:
        context = engine.create_execution_context()
    else:
        # TensorRT-RTX compiles a shape's kernels when it meets it: now, never in the background of a later frame.
        config = engine.create_runtime_config()
        config.dynamic_shapes_kernel_specialization_strategy = strategies.EAGER
        context = engine.create_execution_context(config)
    if context is None:
        raise InferenceError("create_execution_context failed")
    return context


def _names(engine: Engine) -> list[str]:
    return [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
