"""What the protocols and the fakes say of NVIDIA's modules is true of the installed ones, as far as can be seen here.

Arguments are given to the real CUDA bindings: without a driver every call fails, but none for its arguments.
"""

from __future__ import annotations

import dataclasses
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from edgeguard.admission.manifest import Engine as Metadata
from edgeguard.errors import ContractError
from edgeguard.inference.session import InferenceError
from edgeguard.inference.tensorrt import api
from edgeguard.inference.tensorrt.backend import TensorRtBackend, here
from edgeguard.inference.tensorrt.cuda import BINDINGS, Cuda
from tests.inference import strict_cuda, strict_tensorrt

CLASSES = {
    api.Context: "IExecutionContext",
    api.Engine: "ICudaEngine",
    api.Runtime: "Runtime",
    api.RuntimeConfig: "IRuntimeConfig",
    api.Network: "INetworkDefinition",
    api.NetworkTensor: "ITensor",
    api.Profile: "IOptimizationProfile",
    api.Builder: "Builder",
    api.BuilderConfig: "IBuilderConfig",
    api.Parser: "OnnxParser",
    api.ParserError: "ParserError",
}
ADDED = {"failing", "must", "logger", "compute", "engine", "log"}
"""What the fakes have for themselves."""


def names(kind: type) -> set[str]:
    return {name for name in (*vars(kind), *getattr(kind, "__annotations__", {})) if not name.startswith("_")}


@pytest.fixture
def trt() -> Any:
    return pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed (it has x86-64 wheels)")


@pytest.mark.parametrize(("protocol", "name"), CLASSES.items(), ids=CLASSES.values())
def test_every_name_that_is_used_is_there(trt: Any, protocol: type, name: str) -> None:
    assert names(protocol) <= set(dir(getattr(trt, name)))


def test_every_class_and_enumeration_that_is_used_is_there(trt: Any) -> None:
    assert names(api.TensorRt) <= set(dir(trt))
    for enumeration, member in (
        ("DataType", "FLOAT"),
        ("TensorIOMode", "INPUT"),
        ("TensorLocation", "DEVICE"),
        ("TensorFormat", "LINEAR"),
        ("DynamicShapesKernelSpecializationStrategy", "EAGER"),
        ("BuilderFlag", "TF32"),
        ("BuilderFlag", "REQUIRE_USER_ALLOCATION"),
        ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
    ):
        assert member in getattr(trt, enumeration).__members__
    assert str(trt.DataType.HALF) == "DataType.HALF"


@pytest.mark.parametrize(
    ("fake", "name"),
    [
        (strict_tensorrt.Context, "IExecutionContext"),
        (strict_tensorrt.RtxContext, "IExecutionContext"),
        (strict_tensorrt.Engine, "ICudaEngine"),
        (strict_tensorrt.RtxEngine, "ICudaEngine"),
        (strict_tensorrt.Runtime, "Runtime"),
    ],
)
def test_the_fakes_have_no_call_that_the_real_ones_lack(trt: Any, fake: type, name: str) -> None:
    assert names(fake) - ADDED <= set(dir(getattr(trt, name)))


def test_the_real_runtime_refuses_a_plan_without_a_device_and_says_rebuild(
    trt: Any, tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is only claimed: the real module reads the plan, finds none, and its reason is passed on."""
    try:
        Cuda.load().probe()
    except ContractError:
        machine = strict_cuda.Machine()
    else:
        pytest.skip("there is a device here: `test_tensorrt_device.py` runs plans on it")
    monkeypatch.setitem(sys.modules, BINDINGS, strict_cuda.Cuda(machine))
    model = tiny.classifier()
    engine = Metadata("tensorrt-rtx", trt.__version__, "any", here())
    plan = dataclasses.replace(
        model, manifest=dataclasses.replace(model.manifest, engine=engine), model=b"ftrt" * 99
    )
    with pytest.raises(
        ContractError, match=r"cannot read the plan on Strict \((?!no reason).+\): rebuild it here"
    ):
        TensorRtBackend("tensorrt-rtx").load(plan)
    assert machine.leaks() == []


@pytest.fixture
def bindings() -> Any:
    found = pytest.importorskip(BINDINGS, reason="cuda-bindings is not installed")
    try:
        Cuda.load().probe()
    except ContractError:
        return found
    return pytest.skip("there is a device here: nothing may be called with made-up handles")


CALLS: tuple[tuple[str, tuple[str | int, ...], dict[str, bool]], ...] = (
    ("use", (), {}),
    ("stream", (), {}),
    ("wait", ("stream",), {}),
    ("pinned", (16,), {"mapped": True}),
    ("pinned", (16,), {"mapped": False}),
    ("seen_by_device", (4096,), {}),
    ("memory", (16,), {}),
    ("copy_in", (4096, 8192, 16, "stream"), {}),
    ("copy_out", (4096, 8192, 16, "stream"), {}),
    ("begin_capture", ("stream",), {}),
    ("end_capture", ("stream",), {}),
    ("executable", ("graph",), {}),
    ("launch", ("executable", "stream"), {}),
)
FREES = (
    ("cudaStreamDestroy", "stream"),
    ("cudaFreeHost", 0),
    ("cudaFree", 0),
    ("cudaGraphDestroy", "graph"),
    ("cudaGraphExecDestroy", "executable"),
)


def given(bindings: Any, arguments: tuple[str | int, ...]) -> list[Any]:
    made = {
        "stream": bindings.cudaStream_t(0),
        "graph": bindings.cudaGraph_t(0),
        "executable": bindings.cudaGraphExec_t(0),
    }
    return [made.get(argument, argument) if isinstance(argument, str) else argument for argument in arguments]


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS, ids=[call[0] for call in CALLS])
def test_the_real_bindings_take_these_arguments(
    bindings: Any, name: str, arguments: tuple[str | int, ...], options: dict[str, bool]
) -> None:
    with pytest.raises(InferenceError) as failed:
        getattr(Cuda(bindings), name)(*given(bindings, arguments), **options)
    assert not isinstance(failed.value.__cause__, (TypeError, AttributeError))


@pytest.mark.parametrize(("name", "argument"), FREES)
def test_the_real_bindings_take_back_what_these_calls_give(
    bindings: Any, name: str, argument: str | int
) -> None:
    with pytest.raises(InferenceError) as failed:
        Cuda(bindings)._call(name, *given(bindings, (argument,)))
    assert not isinstance(failed.value.__cause__, (TypeError, AttributeError))


def test_the_fakes_constants_are_the_real_ones(bindings: Any) -> None:
    for name in ("cudaHostAllocDefault", "cudaHostAllocMapped", "cudaStreamNonBlocking"):
        assert getattr(bindings, name) == getattr(strict_cuda.Cuda, name)
    for group in ("cudaDeviceAttr", "cudaMemcpyKind", "cudaStreamCaptureMode"):
        assert set(vars(getattr(strict_cuda.Cuda, group))) <= set(dir(getattr(bindings, group)))
    assert int(bindings.cudaStream_t(4096)) == 4096


def test_a_status_without_a_name_is_still_a_failure() -> None:
    def unnamed(_: int) -> None:
        raise RuntimeError("no driver")

    broken: Any = SimpleNamespace(cudaSetDevice=lambda _: (7,), cudaGetErrorName=unnamed)
    with pytest.raises(InferenceError, match="cudaSetDevice failed: status 7"):
        Cuda(broken).use()
