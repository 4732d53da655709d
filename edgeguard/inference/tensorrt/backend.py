"""Runs admitted plans with TensorRT or TensorRT-RTX: from verified bytes, on the device they were built for.

A plan is executable code. Only bytes that admission verified come here, and nothing is loaded from a cache.
"""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from edgeguard.errors import ContractError
from edgeguard.inference.session import InferenceError, ModelContract, Session
from edgeguard.inference.tensorrt.api import TensorRt
from edgeguard.inference.tensorrt.cuda import Cuda
from edgeguard.inference.tensorrt.logger import Recorder, recorder
from edgeguard.inference.tensorrt.opening import open_lanes
from edgeguard.inference.tensorrt.session import TensorRtSession

if TYPE_CHECKING:
    from edgeguard.admission import AdmittedModel
    from edgeguard.inference.tensorrt.api import Engine

MODULES: Mapping[str, str] = MappingProxyType({"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"})
"""Backend names of a policy -> the modules that run their plans."""

ANY = "any"
"""As a plan's compute capability: it is not bound to one."""


def import_tensorrt(name: str) -> TensorRt:
    """The module of the backend called `name`, a key of `MODULES`.

    Raises:
        ContractError: it is not installed.
    """
    try:
        return cast("TensorRt", importlib.import_module(MODULES[name]))
    except (ImportError, OSError) as error:  # OSError: a library that the module wants is missing
        raise ContractError(
            f"backend `{name}` cannot be used ({error}): install it (JetPack has `tensorrt`, the package index "
            "`tensorrt-rtx`), or let the policy say `backend: onnxruntime`"
        ) from error


def here() -> str:
    """The platform that plans are bound to, such as `linux-aarch64`."""
    return f"{sys.platform}-{platform.machine()}"


class TensorRtBackend:
    """Makes sessions of plans on the first CUDA device."""

    __slots__ = ("_cuda", "_device", "_name", "_trt")

    def __init__(self, name: str = "tensorrt") -> None:
        """`name`: a key of `MODULES`.

        Raises:
            ContractError: its module or the CUDA bindings are missing, or there is no device.
        """
        self._name = name
        self._cuda = Cuda.load()
        self._device = self._cuda.probe()
        self._trt = import_tensorrt(name)

    @property
    def name(self) -> str:
        """The name a policy uses for it."""
        return self._name

    def load(self, model: AdmittedModel) -> Session:
        """A warmed-up session of an admitted plan.

        Raises:
            ContractError: it is no plan, or one for another version or device, or it does not keep its contract.
        """
        return self.load_bytes(ModelContract.of(model), model.model)

    def load_bytes(self, contract: ModelContract, model: bytes) -> Session:
        """As `load`, for a contract that was already made: what a worker calls.

        Raises:
            ContractError: as `load`.
        """
        self._check_engine(contract)
        try:
            with ExitStack() as held:
                return self._load(contract, model, held)
        except InferenceError as error:
            raise ContractError(f"bundle `{contract.bundle}` does not run here: {error}") from error

    def describe(self) -> Mapping[str, str]:
        """Version, device and settings, for the log."""
        return {
            "backend": self._name,
            self._name: self._trt.__version__,
            "device": f"{self._device.name} (compute capability {self._device.compute_capability})",
            "memory": "mapped" if self._device.integrated else "copied",
        }

    def _check_engine(self, contract: ModelContract) -> None:
        """Compare what the manifest says of the plan with this machine, before TensorRT sees it."""
        engine = contract.engine
        if engine is None:
            raise ContractError(
                f"bundle `{contract.bundle}` holds ONNX, and backend `{self._name}` runs plans: build one from it with "
                "`edgeguard build`, or let the policy say `backend: onnxruntime`"
            )
        found = {
            "kind": (engine.kind, self._name),
            "version": (engine.version, self._trt.__version__),
            "platform": (engine.platform, here()),
        }
        if engine.compute_capability != ANY:
            found["compute capability"] = (engine.compute_capability, self._device.compute_capability)
        differing = [f"{what} {built}, here {now}" for what, (built, now) in found.items() if built != now]
        if differing:
            raise ContractError(
                f"bundle `{contract.bundle}`: its plan was built for another machine ({'; '.join(differing)}): "
                "rebuild it here with `edgeguard build`"
            )

    def _load(self, contract: ModelContract, model: bytes, held: ExitStack) -> TensorRtSession:
        cuda = self._cuda
        cuda.use()
        log = recorder(self._trt)
        # The stack drops the plan's objects before their logger, and after what was made from them.
        objects: list[object] = [log]
        held.callback(objects.clear)
        engine = self._deserialise(contract, model, log, objects)
        stream = cuda.stream()
        held.callback(cuda.end_stream, stream)
        lanes = open_lanes(self._trt, cuda, stream, engine, contract, held, mapped=self._device.integrated)
        graphs = {lane.graph for lane in lanes.values()}
        where = {
            "runs on": self._device.name,
            "memory": "mapped" if self._device.integrated else "copied",
            "cuda graph": "; ".join(sorted(graphs)),
            "batches": ", ".join(map(str, lanes)),
        }
        return TensorRtSession(contract, cuda, stream, lanes, held.pop_all(), where)

    def _deserialise(
        self, contract: ModelContract, model: bytes, log: Recorder, objects: list[object]
    ) -> Engine:
        try:
            runtime = self._trt.Runtime(log)
            # A plan with host code of its own would run it here: none is built so, and none is taken.
            runtime.engine_host_code_allowed = False
            engine = runtime.deserialize_cuda_engine(model)
        except Exception as error:  # the runtime raises kinds of its own
            raise ContractError(f"bundle `{contract.bundle}`: {self._name} failed: {error}") from error
        if engine is None:
            raise ContractError(
                f"bundle `{contract.bundle}`: {self._name} {self._trt.__version__} cannot read the plan on "
                f"{self._device.name} ({log.last()}): rebuild it here with `edgeguard build`"
            )
        objects += [runtime, engine]
        return engine
