"""Every call of the CUDA runtime, each checked. The device is probed before anything else of NVIDIA's may run.

Nothing here decides: a call that fails raises, and whoever loads or runs a model says what that means. Only what gives
something back never raises.
"""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from edgeguard.errors import ContractError
from edgeguard.inference.onnx_backend import NO_KERNEL_CACHE
from edgeguard.inference.session import InferenceError
from edgeguard.inference.tensorrt.api import CudaRuntime, Handle, Value

BINDINGS = "cuda.bindings.runtime"
"""From the package `cuda-bindings`: imports without a driver, and answers where there is no device."""


@dataclass(frozen=True, slots=True)
class Device:
    """What the first CUDA device is."""

    name: str
    compute_capability: str
    """Such as `8.7`."""
    integrated: bool
    """It shares the host's memory, and can read and write it in place: a Jetson."""


class Cuda:
    """The CUDA runtime on its first device (`CUDA_VISIBLE_DEVICES` says which that is)."""

    __slots__ = ("_api",)

    def __init__(self, api: CudaRuntime) -> None:
        self._api = api

    @classmethod
    def load(cls) -> Cuda:
        """The runtime of this machine.

        Raises:
            ContractError: the bindings are not installed.
        """
        os.environ[NO_KERNEL_CACHE] = "1"
        try:
            return cls(cast("CudaRuntime", importlib.import_module(BINDINGS)))
        except ImportError as error:
            raise ContractError(
                f"the CUDA runtime cannot be used ({error}): install `cuda-bindings` of the driver's CUDA version, or "
                "let the policy say `backend: onnxruntime`"
            ) from error

    def probe(self) -> Device:
        """The first device. Asked before a TensorRT runtime is made: without a device that ends the process.

        Raises:
            ContractError: there is none, or the driver cannot be used.
        """
        try:
            self._count()
            attribute = self._api.cudaDeviceAttr
            major = self._attribute(attribute.cudaDevAttrComputeCapabilityMajor)
            minor = self._attribute(attribute.cudaDevAttrComputeCapabilityMinor)
            shared = (attribute.cudaDevAttrIntegrated, attribute.cudaDevAttrCanMapHostMemory)
            integrated = all(self._attribute(each) for each in shared)
            name = self._one("cudaGetDeviceProperties", 0).name
        except InferenceError as error:
            raise ContractError(
                f"no CUDA device can be used here ({error}): run on a machine with one, with `cuda-bindings` no newer "
                "than its driver, or let the policy say `backend: onnxruntime`"
            ) from error
        return Device(name.decode(errors="replace"), f"{major}.{minor}", integrated)

    def use(self) -> None:
        """Make the device the calling thread's."""
        self._call("cudaSetDevice", 0)

    def stream(self) -> Handle:
        """A stream that waits for no other."""
        return self._one("cudaStreamCreateWithFlags", self._api.cudaStreamNonBlocking)

    def end_stream(self, stream: Handle) -> None:
        """Free a stream."""
        self._free("cudaStreamDestroy", stream)

    def wait(self, stream: Handle) -> None:
        """Until everything in the stream is done. What failed in it is raised here at the latest."""
        self._call("cudaStreamSynchronize", stream)

    def pinned(self, size: int, *, mapped: bool) -> int:
        """Host memory of `size` bytes that the device can copy from, or with `mapped` use in place: its address."""
        flag = self._api.cudaHostAllocMapped if mapped else self._api.cudaHostAllocDefault
        return int(self._one("cudaHostAlloc", size, flag))

    def free_pinned(self, address: int) -> None:
        """Free host memory."""
        self._free("cudaFreeHost", address)

    def seen_by_device(self, address: int) -> int:
        """The device's address of mapped host memory."""
        return int(self._one("cudaHostGetDevicePointer", address, 0))

    def memory(self, size: int) -> int:
        """Device memory of `size` bytes: its address."""
        return int(self._one("cudaMalloc", size))

    def free_memory(self, address: int) -> None:
        """Free device memory."""
        self._free("cudaFree", address)

    def copy_in(self, device: int, host: int, size: int, stream: Handle) -> None:
        """Copy `size` bytes to the device, in the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host, size, kind, stream)

    def copy_out(self, host: int, device: int, size: int, stream: Handle) -> None:
        """Copy `size` bytes from the device, in the stream."""
        kind = self._api.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host, device, size, kind, stream)

    def begin_capture(self, stream: Handle) -> None:
        """What is put into the stream from now on is recorded, not run."""
        mode = self._api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream, mode)

    def end_capture(self, stream: Handle) -> Handle:
        """The graph that was recorded."""
        return self._one("cudaStreamEndCapture", stream)

    def executable(self, graph: Handle) -> Handle:
        """Something that can be launched, of a graph."""
        return self._one("cudaGraphInstantiateWithFlags", graph, 0)

    def end_graph(self, graph: Handle) -> None:
        """Free a graph."""
        self._free("cudaGraphDestroy", graph)

    def end_executable(self, executable: Handle) -> None:
        """Free an executable graph."""
        self._free("cudaGraphExecDestroy", executable)

    def launch(self, executable: Handle, stream: Handle) -> None:
        """Run a graph in the stream."""
        self._call("cudaGraphLaunch", executable, stream)

    def _count(self) -> None:
        """Be sure that there is a device.

        Raises:
            InferenceError: there is none.
        """
        if self._one("cudaGetDeviceCount") < 1:
            raise InferenceError("cudaGetDeviceCount counts none")

    def _free(self, name: str, what: Value) -> None:
        """Give something back. A device that broke fails this as well, and nothing more can be done about it."""
        with suppress(InferenceError):
            self._call(name, what)

    def _attribute(self, attribute: Value) -> int:
        return int(self._one("cudaDeviceGetAttribute", attribute, 0))

    def _one(self, name: str, *arguments: Value) -> Value:
        """The value of a call that gives one."""
        return self._call(name, *arguments)[0]

    def _call(self, name: str, *arguments: Value) -> tuple[Value, ...]:
        """The values of a call.

        Raises:
            InferenceError: its status is not success.
        """
        try:
            status, *values = getattr(self._api, name)(*arguments)
        except Exception as error:  # a driver without the call, an argument of the wrong kind
            raise InferenceError(f"{name} failed: {error}") from error
        if int(status) != 0:
            raise InferenceError(f"{name} failed: {self._reason(status)}")
        return tuple(values)

    def _reason(self, status: Value) -> str:
        with suppress(Exception):  # what cannot be named is still a failure
            found, name = self._api.cudaGetErrorName(status)
            if int(found) == 0:
                return name.decode(errors="replace")
        return f"status {int(status)}"
