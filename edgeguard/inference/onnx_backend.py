"""Runs admitted models with onnxruntime: from bytes in memory, on the provider asked for or not at all.

The only module that imports onnxruntime, and it turns the wheel's telemetry off before it does. No file is opened.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from edgeguard.errors import ContractError, UsageError
from edgeguard.inference.session import (
    InferenceError,
    ModelContract,
    Outputs,
    Session,
    Shape,
    Tensor,
    checked,
    warm_up,
)

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Must be `1` before onnxruntime is imported: the Linux wheel otherwise starts a thread and writes to the home."""

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {"onnxruntime": "CPUExecutionProvider", "onnxruntime-cuda": "CUDAExecutionProvider"}
)
"""Backend names of a policy -> onnxruntime's execution providers."""

_CPU = "CPUExecutionProvider"
_WARM_UP_ROWS = 3
"""Largest batch of the frame path: the filtered, the plain and the squeezed picture."""


class _Value(Protocol):
    """A graph's input or output as onnxruntime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class _OrtSession(Protocol):
    """The part of onnxruntime's session that is used here."""

    def run(self, names: Sequence[str], feeds: Mapping[str, Tensor]) -> list[object]: ...

    def get_providers(self) -> list[str]: ...

    def get_inputs(self) -> list[_Value]: ...

    def get_outputs(self) -> list[_Value]: ...


def import_onnxruntime() -> ModuleType:
    """Import onnxruntime with its telemetry off.

    Raises:
        UsageError: somebody imported it before with telemetry on; it cannot be stopped any more.
        ContractError: it is not installed.
    """
    if "onnxruntime" in sys.modules:
        if os.environ.get(TELEMETRY) != "1":
            raise UsageError(
                f"onnxruntime was imported without `{TELEMETRY}=1`, so its telemetry runs in this process: "
                "set the variable before the program starts, or import edgeguard.inference first"
            )
    else:
        os.environ[TELEMETRY] = "1"
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ContractError(
            f"onnxruntime cannot be imported ({error}): install it or name another backend"
        ) from error


class OnnxSession:
    """One model in one onnxruntime session with one thread."""

    __slots__ = ("_contract", "_input", "_names", "_session")

    def __init__(self, contract: ModelContract, session: _OrtSession) -> None:
        self._contract = contract
        self._session = session
        self._input = contract.input_name
        self._names = [output.name for output in contract.outputs]

    @property
    def contract(self) -> ModelContract:
        """What it takes and gives."""
        return self._contract

    def run(self, batch: Tensor) -> Outputs:
        """Answer a batch.

        Raises:
            InferenceError: the runtime refused, or an output is not the declared tensor.
        """
        try:
            arrays = self._session.run(self._names, {self._input: batch})
        except Exception as error:  # the runtime raises a dozen kinds of its own
            raise InferenceError(f"bundle `{self._contract.bundle}` did not answer: {error}") from error
        return checked(self._contract, arrays, batch.shape[0])

    def close(self) -> None:
        """Nothing to free: the session goes with its last reference."""


class OnnxBackend:
    """Makes onnxruntime sessions on one execution provider."""

    __slots__ = ("_name", "_ort", "_provider")

    def __init__(self, name: str = "onnxruntime") -> None:
        """`name`: a key of `PROVIDERS`.

        Raises:
            ContractError: this installation of onnxruntime does not have the provider.
            UsageError: see `import_onnxruntime`.
        """
        self._name = name
        self._provider = PROVIDERS[name]
        self._ort = import_onnxruntime()
        available = self._ort.get_available_providers()
        if self._provider not in available:
            raise ContractError(
                f"backend `{name}` needs {self._provider}, which this onnxruntime {self._ort.__version__} does not "
                f"have (it has {', '.join(available)}): install the matching build, or let the policy say "
                "`backend: onnxruntime`"
            )

    @property
    def name(self) -> str:
        """The name a policy uses for it."""
        return self._name

    def load(self, model: AdmittedModel) -> Session:
        """A warmed-up session of an admitted model's bytes.

        Raises:
            ContractError: the graph does not keep its manifest's contract, or the provider does not take it.
        """
        return self.load_bytes(ModelContract.of(model), model.model)

    def load_bytes(self, contract: ModelContract, model: bytes) -> Session:
        """As `load`, for a contract that was already made: what a worker process calls.

        Raises:
            ContractError: as `load`.
        """
        session = self._open(contract, model)
        got = session.get_providers()
        if got[:1] != [self._provider]:
            raise ContractError(
                f"bundle `{contract.bundle}`: asked for {self._provider}, got {', '.join(got) or 'none'}: "
                "the provider could not start on this device"
            )
        _check_graph(contract, session)
        loaded = OnnxSession(contract, session)
        warm_up(loaded, _WARM_UP_ROWS)
        return loaded

    def describe(self) -> Mapping[str, str]:
        """Version, provider and settings, for the log."""
        return {
            "backend": self._name,
            "onnxruntime": str(self._ort.__version__),
            "provider": self._provider,
            "threads": "1",
            "telemetry": "off",
        }

    def _open(self, contract: ModelContract, model: bytes) -> _OrtSession:
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = self._ort.ExecutionMode.ORT_SEQUENTIAL
        # Its errors come as exceptions; nothing else may print over the console.
        options.log_severity_level = 4
        if self._provider != _CPU:
            # onnxruntime refuses this entry where the CPU itself is asked for.
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            session = self._ort.InferenceSession(model, options, providers=[self._provider])
        except Exception as error:  # the runtime raises a dozen kinds of its own
            raise ContractError(
                f"bundle `{contract.bundle}`: onnxruntime cannot load the model: {_first_line(error)}"
            ) from error
        return cast("_OrtSession", session)


def _check_graph(contract: ModelContract, session: _OrtSession) -> None:
    """Hold the graph to the declared names, types and shapes.

    Raises:
        ContractError: names the bundle and every difference.
    """
    inputs = {value.name: value for value in session.get_inputs()}
    outputs = {value.name: value for value in session.get_outputs()}
    differences: list[str] = []
    extra = sorted(set(inputs) - {contract.input_name})
    if extra:
        differences.append(f"the graph also wants the input `{'`, `'.join(extra)}`")
    differences += _differences("input", contract.input_name, contract.input_shape, inputs)
    for output in contract.outputs:
        differences += _differences("output", output.name, output.shape, outputs)
    if differences:
        raise ContractError(
            f"bundle `{contract.bundle}`: the graph is not what `edgeguard.json` declares: {'; '.join(differences)}. "
            "correct the manifest or export the model again, then sign the bundle"
        )


def _differences(kind: str, name: str, shape: Shape, values: Mapping[str, _Value]) -> list[str]:
    """In words, how the graph's tensor differs from its declaration."""
    value = values.get(name)
    if value is None:
        return [f"it has no {kind} `{name}` (it has `{'`, `'.join(values)}`)"]
    found = []
    if value.type != "tensor(float)":
        found.append(f"{kind} `{name}` is {value.type}, not float32")
    # What the graph leaves open, the warm-up run checks.
    fits = len(value.shape) == len(shape) and all(
        not isinstance(have, int) or have == declared for have, declared in zip(value.shape, shape)
    )
    batch_open = not value.shape or not isinstance(value.shape[0], int) or not isinstance(shape[0], str)
    if not (fits and batch_open):
        found.append(f"{kind} `{name}` has the shape {list(value.shape)}, declared is {list(shape)}")
    return found


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else "no reason given"
