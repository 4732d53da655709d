"""A loaded plan that answers batches: one lane a batch size, all of them made when it was loaded.

A failure raises and leaves nothing running behind it; after one that cannot be settled it answers nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from edgeguard.inference.session import InferenceError, ModelContract, Outputs, Tensor, checked
from edgeguard.inference.tensorrt.api import Handle
from edgeguard.inference.tensorrt.cuda import Cuda
from edgeguard.inference.tensorrt.lane import Lane


class TensorRtSession:
    """One plan on one device. Not for use by two threads at once."""

    __slots__ = ("_contract", "_cuda", "_held", "_lanes", "_settled", "_stream", "_where")

    def __init__(
        self,
        contract: ModelContract,
        cuda: Cuda,
        stream: Handle,
        lanes: Mapping[int, Lane],
        held: ExitStack,
        where: Mapping[str, str],
    ) -> None:
        """`lanes`: by batch size. `held`: frees and empties them. `where`: what `describe` says."""
        self._contract = contract
        self._cuda = cuda
        self._stream = stream
        self._lanes = lanes
        self._held = held
        self._where = where
        self._settled = True

    @property
    def contract(self) -> ModelContract:
        """What it takes and gives."""
        return self._contract

    def run(self, batch: Tensor) -> Outputs:
        """Answer a batch of a size it was loaded for. The outputs are the caller's.

        Raises:
            InferenceError: another size or shape, it is closed, or a call failed.
        """
        rows = batch.shape[0]
        lane = self._lanes.get(rows)
        if lane is None or not self._settled or batch.shape != self._contract.input_of(rows):
            raise InferenceError(self._refusal(batch))
        try:
            arrays: list[object] = list(lane.run(batch))
        except InferenceError as error:
            self._settle()
            raise InferenceError(f"bundle `{self._contract.bundle}` did not answer: {error}") from error
        return checked(self._contract, arrays, rows)

    def describe(self) -> Mapping[str, str]:
        """Device, memory and CUDA graphs, for the log."""
        return self._where

    def close(self) -> None:
        """Free memory, graphs and contexts. May be called twice."""
        self._held.close()

    def _refusal(self, batch: Tensor) -> str:
        bundle = f"bundle `{self._contract.bundle}`"
        if not self._lanes:
            return f"{bundle} is closed"
        if not self._settled:
            return f"{bundle} failed before and cannot be used until it is loaded again"
        return (
            f"{bundle} takes batches of {', '.join(map(str, self._lanes))}, not the shape {list(batch.shape)}"
        )

    def _settle(self) -> None:
        """Wait until nothing is running: the next run writes into the memory that this one reads."""
        try:
            self._cuda.wait(self._stream)
        except InferenceError:
            self._settled = False
