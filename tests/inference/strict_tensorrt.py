"""A TensorRT that computes with onnxruntime on the CPU and forgives nothing; `strict_cuda.Machine` is its device.

A plan is `PLAN` and the ONNX it stands for. `module` makes the fake `tensorrt` or `tensorrt_rtx`.
"""

from __future__ import annotations

import functools
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
from onnx import load_model_from_string

from edgeguard.inference.onnx_backend import import_onnxruntime
from tests.inference.strict_cuda import Machine, Memory, Work

MAGIC = b"PLAN"
VERSION = "10.3.0"
FLOAT, INPUT, OUTPUT, DEVICE, LINEAR = "DataType.FLOAT", "INPUT", "OUTPUT", "DEVICE", "LINEAR"


@functools.lru_cache(maxsize=64)
def _computer(model: bytes) -> Any:
    return import_onnxruntime().InferenceSession(model, providers=["CPUExecutionProvider"])


@functools.lru_cache(maxsize=64)
def _tensors(model: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """By name: input or output, and its shape, -1 where it is open."""
    graph = load_model_from_string(model).graph
    return {
        value.name: (mode, tuple(d.dim_value or -1 for d in value.type.tensor_type.shape.dim))
        for mode, values in ((INPUT, graph.input), (OUTPUT, graph.output))
        for value in values
    }


class Settings:
    """What a test changes about the plans."""

    least: int = 1
    most: int = 3
    location: str = DEVICE
    format: str = LINEAR
    dtype: str = FLOAT
    capturable: bool = True
    wrong_replay: bool = False
    """A captured run gives other numbers than an eager one."""
    idle_replay: bool = False
    """A captured run does nothing: what the last run wrote stays."""
    unknown: tuple[str, ...] = ()
    """Tensors whose shape the plan does not know."""
    raises: bool = False
    """A call that fails raises, instead of answering False or None."""


class Fake:
    """Something TensorRT made: known to the machine until nobody holds it any more."""

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self.machine = machine
        self.settings = settings
        machine.objects.append(weakref.ref(self))

    def failing(self, name: str) -> bool:
        if self.machine.fails(name):
            if self.settings.raises:
                raise RuntimeError(f"{name} threw")
            return True
        return False

    def must(self, name: str) -> None:
        """A call that has no way to say no but to raise."""
        if self.machine.fails(name):
            raise RuntimeError(f"{name} threw")


class Context(Fake):
    def __init__(self, machine: Machine, settings: Settings, engine: Engine) -> None:
        super().__init__(machine, settings)
        self.engine = engine
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.inferred = False
        self.last: dict[str, Any] = {}
        """What it answered last, by output."""
        self.warm = False
        """Ran once with these shapes and addresses, and was waited for."""
        self.version = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self.failing("set_input_shape"):
            return False
        mode, declared = self.engine.tensors[name]
        if mode != INPUT or len(shape) != len(declared):
            raise self.machine.violation("a shape for what is no input")
        fits = all(have in (-1, size) for have, size in zip(declared, shape))
        if not fits or not self.settings.least <= shape[0] <= self.settings.most:
            return False
        self.shapes[name] = shape
        self.inferred = False
        self._changed()
        return True

    def infer_shapes(self) -> list[str]:
        self.must("infer_shapes")
        missing = [
            n for n, (mode, _) in self.engine.tensors.items() if mode == INPUT and n not in self.shapes
        ]
        missing += self.settings.unknown
        self.inferred = not missing
        return missing

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        self.must("get_tensor_shape")
        if not self.inferred:
            raise self.machine.violation("a shape is asked for before it was inferred")
        rows = next(iter(self.shapes.values()))[0]
        return tuple(rows if size == -1 else size for size in self.engine.tensors[name][1])

    def set_tensor_address(self, name: str, address: int) -> bool:
        if self.failing("set_tensor_address"):
            return False
        if name not in self.engine.tensors:
            raise self.machine.violation(f"an address for the unknown `{name}`")
        self.machine.on_device(address)
        self.addresses[name] = address
        self._changed()
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if type(stream) is not int:
            raise self.machine.violation("the stream must be given as a number")
        place = self.machine.stream(stream)
        if self.failing("execute_async_v3"):
            place.invalid = place.recording is not None
            return False
        if not self.inferred or set(self.addresses) != set(self.engine.tensors):
            raise self.machine.violation("execution before every shape and address is set")
        self.engine.runtime.logger()
        captured = place.recording is not None
        if captured and not self.warm:
            raise self.machine.violation("capture of a context that never ran")
        rooms = {name: self._room(name) for name in self.engine.tensors}
        reads = [m for n, m in rooms.items() if self.engine.tensors[n][0] == INPUT]
        writes = [m for n, m in rooms.items() if self.engine.tensors[n][0] == OUTPUT]
        version, alive, machine = self.version, weakref.ref(self), self.machine

        def check() -> None:
            context = alive()
            if context is None or context.version != version:
                raise machine.violation("a context that is gone, or was changed since, is run")

        def do() -> None:
            context = alive()
            assert context is not None
            context.compute(rooms, captured)

        self.machine.put(place, Work("execute", reads, writes, do, check))
        return True

    def compute(self, rooms: dict[str, Memory], captured: bool) -> None:
        (given,) = self.shapes
        names = [n for n, (mode, _) in self.engine.tensors.items() if mode == OUTPUT]
        values = rooms[given].values.reshape(self.shapes[given])
        for name, answer in zip(names, _computer(self.engine.model).run(names, {given: values})):
            last = self.last.get(name)
            if captured and self.settings.idle_replay and last is not None:
                np.copyto(rooms[name].values, last)
                continue
            self.last[name] = np.ravel(answer).copy()
            np.copyto(rooms[name].values, self.last[name])
            if captured and self.settings.wrong_replay:
                rooms[name].values += 1.0
        self.warm = True

    def _room(self, name: str) -> Memory:
        memory = self.machine.on_device(self.addresses[name])
        rows = next(iter(self.shapes.values()))[0]
        size = int(np.prod([rows if d == -1 else d for d in self.engine.tensors[name][1]]))
        if memory.values.size != size:
            raise self.machine.violation(f"`{name}` has {memory.values.size} places for {size} values")
        return memory

    def _changed(self) -> None:
        self.version += 1
        self.warm = False


class RtxContext(Context):
    def is_stream_capturable(self, stream: int) -> bool:
        self.machine.stream(stream)
        return self.settings.capturable and not self.failing("is_stream_capturable")


class Engine(Fake):
    def __init__(self, machine: Machine, settings: Settings, runtime: Runtime, model: bytes) -> None:
        super().__init__(machine, settings)
        self.runtime = runtime
        self.model = model
        self.tensors = _tensors(model)
        self.num_io_tensors = len(self.tensors)
        self.num_optimization_profiles = 1

    def get_tensor_name(self, index: int) -> str:
        self.must("get_tensor_name")
        return list(self.tensors)[index]

    def get_tensor_mode(self, name: str) -> str:
        self.must("get_tensor_mode")
        return self.tensors[name][0]

    def get_tensor_dtype(self, name: str) -> str:
        self.must("get_tensor_dtype")
        return self.settings.dtype

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        self.must("get_tensor_shape")
        return self.tensors[name][1]

    def get_tensor_location(self, name: str) -> str:
        self.must("get_tensor_location")
        return self.settings.location

    def get_tensor_format(self, name: str) -> str:
        self.must("get_tensor_format")
        return self.settings.format

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        self.must("get_tensor_profile_shape")
        rest = self.tensors[name][1][1:]
        return [(rows, *rest) for rows in (self.settings.least, self.settings.least, self.settings.most)]

    def create_execution_context(self) -> Context | None:
        failed = self.failing("create_execution_context")
        return None if failed else Context(self.machine, self.settings, self)


class RtxEngine(Engine):
    def create_runtime_config(self) -> SimpleNamespace:
        self.must("create_runtime_config")
        return SimpleNamespace(dynamic_shapes_kernel_specialization_strategy="LAZY")

    def create_execution_context(self, config: SimpleNamespace | None = None) -> Context | None:
        if config is None or config.dynamic_shapes_kernel_specialization_strategy != "EAGER":
            raise self.machine.violation("kernels would be compiled in the background of a frame")
        failed = self.failing("create_execution_context")
        return None if failed else RtxContext(self.machine, self.settings, self)


class Runtime(Fake):
    engine: type[Engine] = Engine

    def __init__(self, machine: Machine, settings: Settings, log: Any) -> None:
        if not log.started:
            raise machine.violation("the logger's base was not initialised")
        if "cudaGetDeviceCount" not in machine.calls:
            raise machine.violation("a runtime before the device was probed")
        super().__init__(machine, settings)
        self.must("Runtime")
        self.log = weakref.ref(log)
        self.engine_host_code_allowed = True

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        if self.engine_host_code_allowed:
            raise self.machine.violation("a plan may run code of its own on the host")
        if self.failing("deserialize_cuda_engine") or not plan.startswith(MAGIC):
            self.logger().log("ERROR", "the engine plan file is not compatible\nwith this version")
            return None
        return self.engine(self.machine, self.settings, self, plan[len(MAGIC) :])

    def logger(self) -> Any:
        log = self.log()
        if log is None:
            raise self.machine.violation("the logger is gone before what logs to it")
        return log


class RtxRuntime(Runtime):
    engine = RtxEngine


class Logger:
    ERROR, INTERNAL_ERROR, started = "ERROR", "INTERNAL_ERROR", False

    def __init__(self) -> None:
        self.started = True


def module(machine: Machine, settings: Settings, *, rtx: bool) -> SimpleNamespace:
    """The fake `tensorrt`, or `tensorrt_rtx`."""
    runtime = RtxRuntime if rtx else Runtime
    made = SimpleNamespace(
        __version__=VERSION,
        ILogger=Logger,
        Runtime=functools.partial(runtime, machine, settings),
        DataType=SimpleNamespace(FLOAT=FLOAT),
        TensorFormat=SimpleNamespace(LINEAR=LINEAR),
        TensorIOMode=SimpleNamespace(INPUT=INPUT),
        TensorLocation=SimpleNamespace(DEVICE=DEVICE),
    )
    if rtx:
        made.DynamicShapesKernelSpecializationStrategy = SimpleNamespace(EAGER="EAGER")
    return made
