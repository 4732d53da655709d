"""A CUDA runtime that runs nothing on a GPU and forgives nothing: `Machine` is the device, `Cuda` the fake module.

Work is done when the stream is waited for, not before: until then every place it will write to holds NaN. A call out
of order, a wrong address, a freed thing used again is a violation: it is kept in `violations` and raised.
"""

# ruff: noqa: N815 - the names are theirs

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgeguard.inference.session import Tensor

MAPPED = 2
NON_BLOCKING = 1
FAILED = 999
CAPTURE_INVALIDATED = 901
_ALIGNED = 256
"""What TensorRT wants an address to be a multiple of."""
_DEVICE_BASE = 0x7000_0000_0000
_SHIFT = 0x0100_0000_0000
"""Between an address of mapped memory as the host sees it and as the device does."""


class ViolationError(Exception):
    """The code under test called something it may not call now."""


@dataclass(eq=False)
class Memory:
    """An allocation. `address` is the host's for pinned memory, else the device's."""

    kind: str
    address: int
    values: Tensor
    mapped: bool = False
    live: bool = True
    kept: object = None
    """What the values lie in."""


@dataclass
class Work:
    """Something in a stream: it reads some memory and writes some."""

    what: str
    reads: list[Memory]
    writes: list[Memory]
    do: Callable[[], None]
    check: Callable[[], None] = lambda: None
    seen: list[Tensor] = field(default_factory=list)


@dataclass
class Stream:
    number: int
    live: bool = True
    pending: list[Work] = field(default_factory=list)
    recording: list[Work] | None = None
    invalid: bool = False

    def __int__(self) -> int:
        return self.number


@dataclass
class Graph:
    work: list[Work]
    live: bool = True


class Machine:
    """One device, its memory, streams and graphs. `fail_at`: which call fails, counted from 0 over all fake modules."""

    def __init__(
        self, *, integrated: bool = False, devices: int = 1, fail_at: int | None = None, sticky: bool = False
    ) -> None:
        self.integrated = integrated
        self.devices = devices
        self.fail_at = fail_at
        self.sticky = sticky
        self.refuse: set[str] = set()
        """Calls that always fail."""
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.memory: list[Memory] = []
        self.streams: list[Stream] = []
        self.graphs: list[Graph] = []
        self.executables: list[Graph] = []
        self.objects: list[Any] = []
        """Weak references to what TensorRT made."""

    def violation(self, text: str) -> ViolationError:
        self.violations.append(text)
        return ViolationError(text)

    def fails(self, name: str) -> bool:
        """Count a call; whether it is to fail."""
        number = len(self.calls)
        self.calls.append(name)
        if name in self.refuse or number == self.fail_at:
            return True
        # A device that broke reports it at every later call of its own.
        broken = self.sticky and self.fail_at is not None and number > self.fail_at
        return broken and (name.startswith("cuda") or name == "execute_async_v3")

    def leaks(self) -> list[str]:
        """What was never given back."""
        found = [f"{m.kind} memory" for m in self.memory if m.live]
        found += ["stream" for s in self.streams if s.live]
        found += ["graph" for g in self.graphs if g.live] + ["executable" for g in self.executables if g.live]
        return found + [type(o()).__name__ for o in self.objects if o() is not None]

    def stream(self, number: int) -> Stream:
        for stream in self.streams:
            if stream.number == number:
                if not stream.live:
                    raise self.violation("a stream is used after its end")
                return stream
        raise self.violation(f"{number} is no stream")

    def on_device(self, address: int) -> Memory:
        """The memory whose address, as the device sees it, this is."""
        if address % _ALIGNED:
            raise self.violation(f"{address:#x} is not aligned to {_ALIGNED} bytes")
        for memory in reversed(self.memory):
            theirs = memory.address + _SHIFT if memory.mapped else memory.address
            if theirs == address and (memory.kind == "device" or memory.mapped):
                return self.alive(memory)
        raise self.violation(f"{address:#x} is no address of the device")

    def pinned(self, address: int) -> Memory:
        for memory in reversed(self.memory):
            if memory.address == address and memory.kind == "pinned":
                return self.alive(memory)
        raise self.violation(f"{address:#x} is no pinned memory")

    def alive(self, memory: Memory) -> Memory:
        if not memory.live:
            raise self.violation("memory is used after it was freed")
        return memory

    def put(self, stream: Stream, work: Work) -> None:
        """Queue or record; what it will write is worth nothing until then."""
        if stream.recording is not None:
            stream.recording.append(work)
            return
        work.seen = [memory.values.copy() for memory in work.reads if not _written(stream.pending, memory)]
        stream.pending.append(work)
        for memory in work.writes:
            memory.values.fill(np.nan)

    def drain(self, stream: Stream) -> None:
        """Do what is pending."""
        done: list[Work] = []
        for work in stream.pending:
            for memory in (*work.reads, *work.writes):
                self.alive(memory)
            work.check()
            unwritten = [memory for memory in work.reads if not _written(done, memory)]
            for memory, seen in zip(unwritten, work.seen):
                if not np.array_equal(memory.values, seen, equal_nan=True):
                    raise self.violation(f"the host wrote into what `{work.what}` was still to read")
            work.do()
            done.append(work)
        stream.pending.clear()


def _written(pending: list[Work], memory: Memory) -> bool:
    return any(memory is written for work in pending for written in work.writes)


class Cuda:
    """The fake of `cuda.bindings.runtime`."""

    cudaHostAllocDefault = 0
    cudaHostAllocMapped = MAPPED
    cudaStreamNonBlocking = NON_BLOCKING
    cudaDeviceAttr = SimpleNamespace(
        cudaDevAttrIntegrated="integrated",
        cudaDevAttrCanMapHostMemory="map",
        cudaDevAttrComputeCapabilityMajor="major",
        cudaDevAttrComputeCapabilityMinor="minor",
    )
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out")
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread")

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._next = _DEVICE_BASE

    def cudaGetErrorName(self, status: int) -> tuple[int, bytes]:
        return (0, b"cudaErrorInjected") if status == FAILED else (1, b"")

    def cudaGetDeviceCount(self) -> tuple[int, int | None]:
        return (FAILED, None) if self.machine.fails("cudaGetDeviceCount") else (0, self.machine.devices)

    def cudaGetDeviceProperties(self, device: int) -> tuple[int, Any]:
        if self.machine.fails("cudaGetDeviceProperties"):
            return FAILED, None
        return 0, SimpleNamespace(name=b"Strict")

    def cudaDeviceGetAttribute(self, attribute: str, device: int) -> tuple[int, int | None]:
        if self.machine.fails("cudaDeviceGetAttribute"):
            return FAILED, None
        return 0, {"integrated": int(self.machine.integrated), "map": 1, "major": 8, "minor": 7}[attribute]

    def cudaSetDevice(self, device: int) -> tuple[int]:
        return (FAILED,) if self.machine.fails("cudaSetDevice") else (0,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[int, Stream | None]:
        if self.machine.fails("cudaStreamCreateWithFlags"):
            return FAILED, None
        if flags != NON_BLOCKING:
            raise self.machine.violation("a stream that waits for the default stream")
        stream = Stream(100 + len(self.machine.streams))
        self.machine.streams.append(stream)
        return 0, stream

    def cudaStreamDestroy(self, stream: Stream) -> tuple[int]:
        self.machine.stream(int(stream))
        stream.live = False
        if stream.pending:
            raise self.machine.violation("a stream ends while work is pending")
        return (FAILED,) if self.machine.fails("cudaStreamDestroy") else (0,)

    def cudaStreamSynchronize(self, stream: Stream) -> tuple[int]:
        self._not_recording("cudaStreamSynchronize")
        self.machine.stream(int(stream))
        if self.machine.fails("cudaStreamSynchronize"):
            # What was running failed: it will not come any more, and what it should have written stays NaN.
            stream.pending.clear()
            return (FAILED,)
        self.machine.drain(stream)
        return (0,)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[int, int | None]:
        self._not_recording("cudaHostAlloc")
        if self.machine.fails("cudaHostAlloc"):
            return FAILED, None
        if (flags == MAPPED) != self.machine.integrated:
            raise self.machine.violation("memory is mapped where it is far, or not where it is shared")
        room = (ctypes.c_byte * (size + _ALIGNED))()
        address = -(-ctypes.addressof(room) // _ALIGNED) * _ALIGNED
        values = np.ctypeslib.as_array((ctypes.c_float * (size // 4)).from_address(address))
        values.fill(np.nan)
        memory = Memory("pinned", address, values, mapped=flags == MAPPED, kept=room)
        self.machine.memory.append(memory)
        return 0, memory.address

    def cudaHostGetDevicePointer(self, address: int, flags: int) -> tuple[int, int | None]:
        if self.machine.fails("cudaHostGetDevicePointer"):
            return FAILED, None
        if not self.machine.pinned(address).mapped:
            raise self.machine.violation("memory that is not mapped has no address on the device")
        return 0, address + _SHIFT

    def cudaFreeHost(self, address: int) -> tuple[int]:
        return self._free("cudaFreeHost", self.machine.pinned(address))

    def cudaMalloc(self, size: int) -> tuple[int, int | None]:
        self._not_recording("cudaMalloc")
        if self.machine.fails("cudaMalloc"):
            return FAILED, None
        if self.machine.integrated:
            raise self.machine.violation("memory is copied on a device that shares the host's")
        memory = Memory("device", self._next, np.full(size // 4, np.nan, np.float32))
        self._next += -(-size // _ALIGNED) * _ALIGNED + _ALIGNED
        self.machine.memory.append(memory)
        return 0, memory.address

    def cudaFree(self, address: int) -> tuple[int]:
        return self._free("cudaFree", self.machine.on_device(address))

    def cudaMemcpyAsync(self, to: int, source: int, size: int, kind: str, stream: Stream) -> tuple[int]:
        machine = self.machine
        machine.stream(int(stream))
        if machine.fails("cudaMemcpyAsync"):
            stream.invalid = stream.recording is not None
            return (FAILED,)
        inwards = kind == "in"
        target = machine.on_device(to) if inwards else machine.pinned(to)
        origin = machine.pinned(source) if inwards else machine.on_device(source)
        if not target.values.nbytes == origin.values.nbytes == size:
            raise machine.violation("a copy of another size than its memory")

        def do() -> None:
            np.copyto(target.values, origin.values)

        machine.put(stream, Work(f"copy {kind}", [origin], [target], do))
        return (0,)

    def cudaStreamBeginCapture(self, stream: Stream, mode: str) -> tuple[int]:
        self.machine.stream(int(stream))
        if self.machine.fails("cudaStreamBeginCapture"):
            return (FAILED,)
        if stream.pending:
            raise self.machine.violation("capture begins while work is pending")
        stream.recording, stream.invalid = [], False
        return (0,)

    def cudaStreamEndCapture(self, stream: Stream) -> tuple[int, Graph | None]:
        self.machine.stream(int(stream))
        if stream.recording is None:
            raise self.machine.violation("no capture was begun")
        work, stream.recording = stream.recording, None
        if self.machine.fails("cudaStreamEndCapture"):
            return FAILED, None
        if stream.invalid:
            return CAPTURE_INVALIDATED, None
        graph = Graph(work)
        self.machine.graphs.append(graph)
        return 0, graph

    def cudaGraphInstantiateWithFlags(self, graph: Graph, flags: int) -> tuple[int, Graph | None]:
        if self.machine.fails("cudaGraphInstantiateWithFlags"):
            return FAILED, None
        if not graph.live or not graph.work:
            raise self.machine.violation("a graph that is empty or gone")
        executable = Graph(graph.work)
        self.machine.executables.append(executable)
        return 0, executable

    def cudaGraphDestroy(self, graph: Graph) -> tuple[int]:
        return self._end("cudaGraphDestroy", graph)

    def cudaGraphExecDestroy(self, executable: Graph) -> tuple[int]:
        return self._end("cudaGraphExecDestroy", executable)

    def cudaGraphLaunch(self, executable: Graph, stream: Stream) -> tuple[int]:
        self.machine.stream(int(stream))
        if self.machine.fails("cudaGraphLaunch"):
            return (FAILED,)
        if not executable.live:
            raise self.machine.violation("a graph is launched after its end")
        for work in executable.work:
            self.machine.put(stream, Work(work.what, work.reads, work.writes, work.do, work.check))
        return (0,)

    def _end(self, name: str, graph: Graph) -> tuple[int]:
        if not graph.live:
            raise self.machine.violation(f"{name} of what is gone")
        graph.live = False
        return (FAILED,) if self.machine.fails(name) else (0,)

    def _free(self, name: str, memory: Memory) -> tuple[int]:
        if any(memory in (*w.reads, *w.writes) for s in self.machine.streams for w in s.pending):
            raise self.machine.violation("memory is freed while work is pending")
        if any(memory in (*w.reads, *w.writes) for g in self.machine.executables if g.live for w in g.work):
            raise self.machine.violation("memory is freed before the graphs that use it")
        memory.live = False
        memory.values.fill(np.nan)
        return (FAILED,) if self.machine.fails(name) else (0,)

    def _not_recording(self, name: str) -> None:
        if any(stream.recording is not None for stream in self.machine.streams):
            raise self.machine.violation(f"{name} during a capture")
