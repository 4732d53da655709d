"""The parts of NVIDIA's untyped modules that are used here, as protocols: they hold from TensorRT 10.3 to 11 and RTX.

Types only: nothing is imported, nothing is called.
"""

# ruff: noqa: D102, N815 - the names are theirs, and so is what they mean

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Handle = Any
"""A stream, a graph or an executable graph: opaque, and only ever handed back."""

Enum = Any
"""One of their enumerations, or a member of it."""

Value = Any
"""An argument or a result of a CUDA call."""


class Context(Protocol):
    """An execution context: one batch size, one set of addresses."""

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...

    def infer_shapes(self) -> list[str]: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def set_tensor_address(self, name: str, address: int) -> bool: ...

    def execute_async_v3(self, stream: int) -> bool: ...


class RuntimeConfig(Protocol):
    """Only TensorRT-RTX has one."""

    dynamic_shapes_kernel_specialization_strategy: Enum


class Engine(Protocol):
    """A deserialised plan."""

    num_io_tensors: int
    num_optimization_profiles: int

    def get_tensor_name(self, index: int) -> str: ...

    def get_tensor_mode(self, name: str) -> Enum: ...

    def get_tensor_dtype(self, name: str) -> Enum: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]: ...

    def get_tensor_location(self, name: str) -> Enum: ...

    def get_tensor_format(self, name: str) -> Enum: ...

    def get_tensor_profile_shape(self, name: str, profile: int) -> Sequence[Sequence[int]]: ...

    def create_runtime_config(self) -> RuntimeConfig: ...

    def create_execution_context(self, config: RuntimeConfig = ...) -> Context | None: ...


class Runtime(Protocol):
    """Reads plans."""

    engine_host_code_allowed: bool

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None: ...


class NetworkTensor(Protocol):
    """An input or output of a network that is being built."""

    name: str
    dtype: Enum
    shape: Sequence[int]


class Network(Protocol):
    """A network that is being built."""

    num_inputs: int
    num_outputs: int

    def get_input(self, index: int) -> NetworkTensor: ...

    def get_output(self, index: int) -> NetworkTensor: ...

    def unmark_output(self, tensor: NetworkTensor) -> None: ...


class Profile(Protocol):
    """The batch sizes that a plan is to take."""

    def set_shape(
        self, name: str, least: tuple[int, ...], usual: tuple[int, ...], most: tuple[int, ...]
    ) -> None: ...


class BuilderConfig(Protocol):
    """How to build."""

    def set_flag(self, flag: Enum) -> None: ...

    def clear_flag(self, flag: Enum) -> None: ...

    def add_optimization_profile(self, profile: Profile) -> int: ...


class Builder(Protocol):
    """Makes plans."""

    def create_network(self, flags: int) -> Network: ...

    def create_builder_config(self) -> BuilderConfig: ...

    def create_optimization_profile(self) -> Profile: ...

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None: ...


class ParserError(Protocol):
    """What the parser did not like."""

    def desc(self) -> str: ...

    def node_name(self) -> str: ...

    def node_operator(self) -> str: ...


class Parser(Protocol):
    """Reads ONNX into a network."""

    num_errors: int

    def parse(self, model: bytes) -> bool: ...

    def get_error(self, index: int) -> ParserError: ...


class TensorRt(Protocol):
    """The module `tensorrt` or `tensorrt_rtx`."""

    __version__: str
    Builder: Callable[[object], Builder]
    BuilderFlag: Enum
    DataType: Enum
    DynamicShapesKernelSpecializationStrategy: Enum
    ILogger: Any
    NetworkDefinitionCreationFlag: Enum
    OnnxParser: Callable[[Network, object], Parser]
    Runtime: Callable[[object], Runtime]
    TensorFormat: Enum
    TensorIOMode: Enum
    TensorLocation: Enum


class CudaRuntime(Protocol):
    """The module `cuda.bindings.runtime`: every call answers (status, values...)."""

    cudaDeviceAttr: Enum
    cudaMemcpyKind: Enum
    cudaStreamCaptureMode: Enum
    cudaHostAllocDefault: int
    cudaHostAllocMapped: int
    cudaStreamNonBlocking: int

    def cudaGetErrorName(self, status: Enum) -> tuple[Enum, bytes]: ...  # noqa: N802
