"""Where a tensor lies for host and device: in one place both can reach, or in two with copies between them.

Everything is taken when a model is loaded and given back by the stack that it was taken on. Nothing grows afterwards.
"""

from __future__ import annotations

import ctypes
import math
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from edgeguard.inference.session import Tensor
from edgeguard.inference.tensorrt.api import Handle
from edgeguard.inference.tensorrt.cuda import Cuda


@dataclass(frozen=True, slots=True)
class Room:
    """Memory of one tensor. `host`: a view of it; it must not be used once the stack has been closed."""

    host: Tensor
    pinned: int
    """Address of the host's memory, as the host sees it."""
    device: int
    """Address that the device reads and writes."""
    copied: bool
    """Whether the two are different memory."""

    def put_in(self, cuda: Cuda, stream: Handle) -> None:
        """Let the device have what the host wrote, in the stream."""
        if self.copied:
            cuda.copy_in(self.device, self.pinned, self.host.nbytes, stream)

    def take_out(self, cuda: Cuda, stream: Handle) -> None:
        """Let the host have what the device wrote, in the stream."""
        if self.copied:
            cuda.copy_out(self.pinned, self.device, self.host.nbytes, stream)


def room(cuda: Cuda, shape: tuple[int, ...], held: ExitStack, *, mapped: bool) -> Room:
    """Memory for a float32 tensor of `shape`, given back by `held`.

    `mapped`: the device uses the host's memory in place, which is quick where they are the same chips (a Jetson) and
    slow across a bus.

    Raises:
        InferenceError: there is not enough.
    """
    size = 4 * math.prod(shape)
    pinned = cuda.pinned(size, mapped=mapped)
    held.callback(cuda.free_pinned, pinned)
    if mapped:
        device = cuda.seen_by_device(pinned)
    else:
        device = cuda.memory(size)
        held.callback(cuda.free_memory, device)
    host = np.ctypeslib.as_array((ctypes.c_float * (size // 4)).from_address(pinned)).reshape(shape)
    host.fill(0.0)
    return Room(host, pinned, device, copied=not mapped)
