"""Runs admitted models with onnxruntime: from bytes in memory, on the provider asked for or not at all.

The only module that imports onnxruntime, and it turns the wheel's telemetry off before it does. No file is opened.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from edgeguard.errors import ContractError, UsageError, first_line
from edgeguard.inference.conformance import MOST_ROWS, Edge, check_edges
from edgeguard.inference.session import (
    InferenceError,
    ModelContract,
    Outputs,
    Session,
    Tensor,
    checked,
    warm_up,
)

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel

TELEMETRY = "ORT_DISABLE_TELEMETRY"
"""Must be `1` before onnxruntime is imported: the Linux wheel otherwise starts a thread and writes to the home."""

_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"

PROVIDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"onnxruntime": (_CPU,), "onnxruntime-cuda": (_CUDA,), "onnxruntime-tensorrt": (_TENSORRT, _CUDA)}
)
"""Backend names of a policy -> onnxruntime's execution providers, the one asked for first."""

_OPTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        # Precision is the graph's business: no provider lowers it by itself.
        _CUDA: {"use_tf32": "0"},
        # What a cache holds is code that nobody signed.
        _TENSORRT: {
            "trt_engine_cache_enable": "0",
            "trt_timing_cache_enable": "0",
            "trt_dump_ep_context_model": "0",
            "trt_fp16_enable": "0",
            "trt_int8_enable": "0",
        },
    }
)
NO_KERNEL_CACHE = "CUDA_CACHE_DISABLE"
"""At `1` before CUDA starts: the driver neither loads kernels from the home folder nor leaves them there."""

_CACHES = "ORT_TENSORRT_"
"""Variables by which the environment can switch the engine cache on, and say where it lies."""

_ENTRIES: Mapping[str, str] = MappingProxyType(
    {
        # A thread that spins while it waits takes the core from the other worker.
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    }
)
_NO_CPU = "session.disable_cpu_ep_fallback"
_RECORD = "session.record_ep_graph_assignment_info"


class _Value(Protocol):
    """A graph's input or output as onnxruntime describes it."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class _Subgraph(Protocol):
    """Nodes that one provider runs together."""

    ep_name: str

    def get_nodes(self) -> Sequence[object]: ...


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

    __slots__ = ("_contract", "_input", "_names", "_runs_on", "_session")

    def __init__(self, contract: ModelContract, session: _OrtSession, runs_on: str) -> None:
        """`runs_on`: the providers that run its nodes, in words."""
        self._contract = contract
        self._session = session
        self._input = contract.input_name
        self._names = [output.name for output in contract.outputs]
        self._runs_on = runs_on

    @property
    def contract(self) -> ModelContract:
        """What it takes and gives."""
        return self._contract

    def run(self, batch: Tensor) -> Outputs:
        """Answer a batch. The outputs are the caller's: the next run makes new ones.

        Raises:
            InferenceError: the runtime refused, or an output is not the declared tensor.
        """
        # An I/O binding saves 1 us here and costs a copy in and a copy out: dearer from 32 x 32 pixels on.
        try:
            arrays = self._session.run(self._names, {self._input: batch})
        except Exception as error:  # the runtime raises a dozen kinds of its own
            raise InferenceError(f"bundle `{self._contract.bundle}` did not answer: {error}") from error
        return checked(self._contract, arrays, batch.shape[0])

    def describe(self) -> Mapping[str, str]:
        """What runs where, for the log."""
        return {"runs on": self._runs_on}

    def close(self) -> None:
        """Nothing to free: the session goes with its last reference."""


class OnnxBackend:
    """Makes onnxruntime sessions on one execution provider."""

    __slots__ = ("_cpu_fallback", "_name", "_ort", "_provider", "_providers")

    def __init__(self, name: str = "onnxruntime", *, cpu_fallback: bool = False) -> None:
        """`name`: a key of `PROVIDERS`. `cpu_fallback`: nodes that the provider does not take may run on the CPU.

        Raises:
            ContractError: this installation of onnxruntime does not have the provider.
            UsageError: see `import_onnxruntime`; or the environment switches engine caches.
        """
        self._name = name
        self._providers = PROVIDERS[name]
        self._provider = self._providers[0]
        self._cpu_fallback = cpu_fallback or self._provider == _CPU
        self._ort = import_onnxruntime()
        available = self._ort.get_available_providers()
        missing = [provider for provider in self._providers if provider not in available]
        if missing:
            raise ContractError(
                f"backend `{name}` needs {missing[0]}, which this onnxruntime {self._ort.__version__} does not "
                f"have (it has {', '.join(available)}): install the matching build, or let the policy say "
                "`backend: onnxruntime`"
            )
        if self._provider != _CPU:
            os.environ[NO_KERNEL_CACHE] = "1"
        _refuse_caches(self._providers)

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
        if contract.engine is not None:
            raise ContractError(
                f"bundle `{contract.bundle}` is a plan for {contract.engine.kind}, which onnxruntime cannot run: "
                f"let the policy say `backend: {contract.engine.kind}`, or name the ONNX bundle it was built from"
            )
        session = self._open(contract, model)
        got = session.get_providers()
        if got[:1] != [self._provider]:
            raise ContractError(
                f"bundle `{contract.bundle}`: asked for {self._provider}, got {', '.join(got) or 'none'}: "
                "the provider could not start on this device"
            )
        check_edges(contract, _edges(session.get_inputs()), _edges(session.get_outputs()))
        loaded = OnnxSession(contract, session, self._runs_on(session))
        warm_up(loaded, MOST_ROWS)
        return loaded

    def describe(self) -> Mapping[str, str]:
        """Version, provider and settings, for the log."""
        fallback = {"cpu_fallback": "allowed" if self._cpu_fallback else "refused"}
        return {
            "backend": self._name,
            "onnxruntime": str(self._ort.__version__),
            "provider": self._provider,
            **({} if self._provider == _CPU else fallback),
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
        for key, value in _ENTRIES.items():
            options.add_session_config_entry(key, value)
        # Where the CPU itself is asked for, onnxruntime refuses the entry against falling back to it.
        if self._provider != _CPU:
            options.add_session_config_entry(_RECORD if self._cpu_fallback else _NO_CPU, "1")
        providers = [(name, dict(_OPTIONS.get(name, {}))) for name in self._providers]
        try:
            # `enable_fallback`: it would change to the CPU by itself when a run fails later, and print that.
            # `read_config_from_model`: a model may not set the number of threads.
            session = self._ort.InferenceSession(
                model, options, providers=providers, enable_fallback=0, read_config_from_model=0
            )
        except Exception as error:  # the runtime raises a dozen kinds of its own
            raise ContractError(
                f"bundle `{contract.bundle}`: onnxruntime cannot load the model: {first_line(error)}"
            ) from error
        return cast("_OrtSession", session)

    def _runs_on(self, session: _OrtSession) -> str:
        """The providers that run the nodes, in words."""
        if not self._cpu_fallback or self._provider == _CPU:
            return " and ".join(self._providers)
        tell = getattr(session, "get_provider_graph_assignment_info", None)
        if tell is None:
            return (
                f"{self._provider}, and the CPU where it falls back: this onnxruntime cannot tell which nodes"
            )
        nodes: Counter[str] = Counter()
        for subgraph in cast("Sequence[_Subgraph]", tell()):
            nodes[subgraph.ep_name] += len(subgraph.get_nodes())
        order = dict.fromkeys((*self._providers, *nodes))
        return ", ".join(f"{nodes[provider]} nodes on {provider}" for provider in order)


def _refuse_caches(providers: Sequence[str]) -> None:
    """Engine caches are executable and signed by nobody; the environment must not bring them back.

    Raises:
        UsageError: it tries.
    """
    found = sorted(name for name in os.environ if name.startswith(_CACHES))
    if _TENSORRT in providers and found:
        raise UsageError(
            f"the environment has `{found[0]}`, which changes how onnxruntime builds and caches engines: unset every "
            f"`{_CACHES}*` variable (a plan that is signed comes from `edgeguard build`)"
        )


def _edges(values: Sequence[_Value]) -> list[Edge]:
    return [Edge(v.name, "float32" if v.type == "tensor(float)" else v.type, v.shape) for v in values]
