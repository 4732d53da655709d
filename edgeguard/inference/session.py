"""What a model must keep to (its contract), and the protocols of a backend and a session.

Data and checks only: no runtime is imported here, and no file is opened. The frame path catches `InferenceError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edgeguard.errors import ContractError, EdgeguardError

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.admission.manifest import Engine

Tensor = NDArray[np.float32]
Outputs = Mapping[str, Tensor]
"""Outputs of one run by their declared meaning, one of `MEANINGS`."""
Shape = tuple[int | str, ...]
_FLOAT32 = np.dtype(np.float32)

SIGNALS = ("certainty", "energy", "margin", "reconstruction", "squeezing", "disagreement")
"""Meanings that only a fused graph gives: a signal, one number a picture."""
MEANINGS = ("logits", "probabilities", "novelty", "image", *SIGNALS)


class InferenceError(EdgeguardError):
    """A session could not answer. Internal: `Perception` turns it into signals without a value."""


@dataclass(frozen=True, slots=True)
class OutputContract:
    """One declared output of a graph. `shape` starts with the batch: a name such as `N`, or 1."""

    name: str
    meaning: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class ModelContract:
    """Names, meanings and shapes that the manifest declares and the graph must keep; all tensors are float32."""

    bundle: str
    digest: str
    """Hex SHA-256, root digest of the admitted bundle."""
    input_name: str
    input_shape: Shape
    outputs: tuple[OutputContract, ...]
    engine: Engine | None = None
    """Of a plan: what it was built with and for."""

    @property
    def batched(self) -> bool:
        """Whether the model takes any number of pictures at once."""
        return isinstance(self.input_shape[0], str)

    def input_of(self, rows: int) -> tuple[int, ...]:
        """Shape of an input of `rows` pictures."""
        return cast("tuple[int, ...]", (rows, *self.input_shape[1:]))

    def output_of(self, output: OutputContract, rows: int) -> tuple[int, ...]:
        """Shape that `output` has for `rows` pictures."""
        return cast("tuple[int, ...]", (rows, *output.shape[1:]))

    @classmethod
    def of(cls, model: AdmittedModel) -> ModelContract:
        """The contract in an admitted model's manifest.

        Raises:
            ContractError: it declares what this version cannot run; names the bundle and what to change.
        """
        manifest = model.manifest
        contract = cls(
            bundle=manifest.name,
            digest=model.digest,
            input_name=manifest.input.name,
            input_shape=tuple(manifest.input.shape),
            # An output without a meaning is nobody's business: it is never fetched.
            outputs=tuple(
                OutputContract(o.name, o.meaning, tuple(o.shape)) for o in manifest.outputs if o.meaning
            ),
            engine=manifest.engine,
        )
        for where, dtype in [
            (manifest.input.name, manifest.input.dtype),
            *((o.name, o.dtype) for o in manifest.outputs),
        ]:
            if dtype != "float32":
                raise ContractError(
                    f"bundle `{manifest.name}`: tensor `{where}` is declared `{dtype}`; "
                    "only `float32` inputs and outputs can be run: export the model with float32 edges"
                )
        contract.check()
        return contract

    def check(self) -> None:
        """Refuse shapes and meanings that cannot be run.

        Raises:
            ContractError: names the bundle, the tensor and what to change.
        """
        self._check_shape(self.input_name, self.input_shape)
        if len(self.input_shape) != 4:
            raise ContractError(
                f"bundle `{self.bundle}`: input `{self.input_name}` must have four dimensions "
                f"(batch, channels, height, width in the order of `layout`), not {list(self.input_shape)}"
            )
        if not self.outputs:
            raise ContractError(f"bundle `{self.bundle}`: the manifest declares no output with a `meaning`")
        meanings = [o.meaning for o in self.outputs]
        for output in self.outputs:
            self._check_shape(output.name, output.shape)
            if output.meaning not in MEANINGS:
                raise ContractError(
                    f"bundle `{self.bundle}`: output `{output.name}` has the unknown meaning `{output.meaning}`; "
                    f"use one of {', '.join(MEANINGS)}"
                )
            if meanings.count(output.meaning) > 1:
                raise ContractError(
                    f"bundle `{self.bundle}`: two outputs mean `{output.meaning}`; declare the one to use"
                )

    def _check_shape(self, name: str, shape: Shape) -> None:
        """The batch is a name or 1, everything after it a positive number."""
        rest_known = all(isinstance(d, int) and d > 0 for d in shape[1:])
        if not shape or not (isinstance(shape[0], str) or shape[0] == 1) or not rest_known:
            raise ContractError(
                f"bundle `{self.bundle}`: `{name}` has the shape {list(shape)}; the first dimension must be "
                '"N" or 1 and all others positive numbers: fix `edgeguard.json` or export with fixed sizes'
            )


class Session(Protocol):
    """A loaded model that answers batches. Not for use by two threads at once."""

    @property
    def contract(self) -> ModelContract:
        """What it takes and gives."""

    def run(self, batch: Tensor) -> Outputs:
        """Answer `batch` (contiguous float32, the contract's input shape). Outputs have exactly the contract's shapes.

        Raises:
            InferenceError: no answer, or one that breaks the contract.
        """

    def describe(self) -> Mapping[str, str]:
        """What of it runs where, for the log."""

    def close(self) -> None:
        """Free what it holds. May be called twice."""


class Backend(Protocol):
    """Something that runs models: makes sessions from admitted bytes, never from a path."""

    @property
    def name(self) -> str:
        """The name a policy uses for it."""

    def load(self, model: AdmittedModel) -> Session:
        """A warmed-up session of an admitted model.

        Raises:
            ContractError: the graph does not keep what its manifest declares, or the backend cannot run it.
        """

    def load_bytes(self, contract: ModelContract, model: bytes) -> Session:
        """As `load`, for a contract that was already made: what a worker calls.

        Raises:
            ContractError: as `load`.
        """

    def describe(self) -> Mapping[str, str]:
        """Version, provider and settings, for the log."""


def checked(contract: ModelContract, arrays: list[object], rows: int) -> Outputs:
    """Name raw outputs by meaning after checking each one's type and exact shape.

    Raises:
        InferenceError: an output is not the declared tensor.
    """
    outputs: dict[str, Tensor] = {}
    for declared, array in zip(contract.outputs, arrays):
        if (
            not isinstance(array, np.ndarray)
            or array.dtype != _FLOAT32
            or array.shape[:1] != (rows,)
            or array.shape[1:] != declared.shape[1:]
        ):
            raise InferenceError(f"bundle `{contract.bundle}`: output `{declared.name}` broke its contract")
        outputs[declared.meaning] = array
    return outputs


def warm_up(session: Session, rows: int) -> None:
    """Run a session on grey pictures of each batch size it will see, so that the first frame is as quick as others.

    Raises:
        ContractError: it does not answer, or not in the declared shapes.
    """
    contract = session.contract
    for count in range(1, rows + 1) if contract.batched else (1,):
        try:
            session.run(np.full(contract.input_of(count), 0.5, np.float32))
        except InferenceError as error:
            raise ContractError(
                f"{error} in its warm-up run: make `edgeguard.json` and the graph agree, then sign again"
            ) from error
