"""One batch size of a plan: an execution context of its own, its memory, and the CUDA graph captured of it.

A graph is bound to the shapes, addresses and context it was captured with, so nothing here changes after `prepare`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress

import numpy as np

from edgeguard.inference.session import InferenceError, Tensor
from edgeguard.inference.tensorrt.api import Context, Handle
from edgeguard.inference.tensorrt.cuda import Cuda
from edgeguard.inference.tensorrt.memory import Room

_AGREE = 1e-3
"""Largest difference of a replay from an eager run on the same picture, absolute and relative."""


class Lane:
    """Runs one batch size in one stream. Not for use by two threads at once."""

    __slots__ = ("_context", "_cuda", "_graph", "_input", "_outputs", "_stream", "graph")

    def __init__(
        self, cuda: Cuda, stream: Handle, context: Context, given: Room, outputs: Mapping[str, Room]
    ) -> None:
        """`given`, `outputs`: memory of the input and of each output, whose addresses the context has already."""
        self._cuda = cuda
        self._stream = stream
        self._context = context
        self._input = given
        self._outputs = outputs
        self._graph: Handle | None = None
        self.graph = "off: not captured"
        """Whether a CUDA graph is replayed, in words."""

    def prepare(self, held: ExitStack) -> None:
        """Warm up and capture. Without a graph it runs all the same, and `graph` says why.

        Raises:
            InferenceError: it does not run.
        """
        self._input.host.fill(0.5)
        eager = self._answer()
        # Another answer in between: a replay that computes nothing would repeat the one that it is held against.
        self._input.host.fill(0.0)
        self._answer()
        self._input.host.fill(0.5)
        try:
            self._graph = self._capture(held)
            self._check_replay(eager)
            self.graph = "on"
        except InferenceError as error:
            self._graph = None
            self.graph = f"off: {error}"
            # A capture that failed may have left an error behind: what cannot run without a graph must not pass.
            self._answer()

    def run(self, batch: Tensor) -> list[Tensor]:
        """The outputs for `batch`, in the order they were given in. They are the caller's.

        Raises:
            InferenceError: a call failed.
        """
        np.copyto(self._input.host, batch)
        return self._answer()

    def _answer(self) -> list[Tensor]:
        if self._graph is None:
            self._enqueue()
        else:
            self._cuda.launch(self._graph, self._stream)
        self._cuda.wait(self._stream)
        return [room.host.copy() for room in self._outputs.values()]

    def _enqueue(self) -> None:
        """Put the copies and the model into the stream."""
        self._input.put_in(self._cuda, self._stream)
        try:
            accepted = self._context.execute_async_v3(int(self._stream))
        except Exception as error:  # the runtime raises kinds of its own
            raise InferenceError(f"execute_async_v3 failed: {error}") from error
        if not accepted:
            raise InferenceError("execute_async_v3 was refused")
        for room in self._outputs.values():
            room.take_out(self._cuda, self._stream)

    def _capture(self, held: ExitStack) -> Handle:
        """An executable graph of what `_enqueue` does, freed by `held`."""
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(int(self._stream)):
            raise InferenceError("the plan cannot be captured")
        cuda = self._cuda
        with ExitStack() as template:
            cuda.begin_capture(self._stream)
            try:
                self._enqueue()
            except InferenceError:
                # A stream that is left capturing would never run anything again.
                with suppress(InferenceError):
                    cuda.end_graph(cuda.end_capture(self._stream))
                raise
            recorded = cuda.end_capture(self._stream)
            template.callback(cuda.end_graph, recorded)
            executable = cuda.executable(recorded)
            held.callback(cuda.end_executable, executable)
        return executable

    def _check_replay(self, eager: list[Tensor]) -> None:
        for name, seen, expected in zip(self._outputs, self._answer(), eager):
            if not np.allclose(seen, expected, rtol=_AGREE, atol=_AGREE, equal_nan=True):
                raise InferenceError(f"a replay gives another `{name}` than an eager run")
