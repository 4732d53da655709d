"""Builder and parser of TensorRT-RTX, the real ones, on a machine without a device; plans are built, never run."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, load_model_from_string

from edgeguard.admission import AdmittedModel, TensorSpec
from edgeguard.admission.manifest import parse_manifest
from edgeguard.errors import ContractError
from edgeguard.inference.session import ModelContract, OutputContract
from edgeguard.inference.tensorrt.backend import here
from edgeguard.inference.tensorrt.plan import Plan, build_plan
from tests.inference.networks import efficientnet_lite0
from tests.inference.strict_cuda import Cuda, Machine

trt: Any = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed (it has x86-64 wheels)")

MODELS = Path(__file__).resolve().parents[2] / "models"
BUNDLES = (
    "signs/primary",
    "signs/redundant",
    "signs/denoise",
    "photos/primary",
    "photos/redundant",
    "photos/denoise",
)
MAGIC = b"vtrt"


def bundle(name: str) -> tuple[bytes, ModelContract]:
    """A model of the demo, as it lies in the repository."""
    folder = MODELS / name
    if not (folder / "model.onnx").exists():
        pytest.skip(f"models/{name} is not here: it is made by `make models`")
    manifest = parse_manifest((folder / "edgeguard.json").read_bytes(), name)
    model: Any = SimpleNamespace(manifest=manifest, digest="0" * 64)
    return (folder / "model.onnx").read_bytes(), ModelContract.of(model)


FUSED = {"primary": "primary", "filter": "denoise", "redundant": "redundant"}


def admitted(name: str) -> AdmittedModel:
    """The same as admission would give it."""
    model, _ = bundle(name)
    manifest = parse_manifest((MODELS / name / "edgeguard.json").read_bytes(), name)
    return AdmittedModel(manifest, model, "0" * 64, "0" * 64)


def contract(name: str, side: int, classes: int) -> ModelContract:
    return ModelContract(
        name, "0" * 64, "image", ("N", 3, side, side), (OutputContract("logits", "logits", ("N", classes)),)
    )


def quantised(model: bytes, side: int, tmp_path: Path, **options: bool) -> bytes:
    """The model in int8, as onnxruntime writes it."""
    from onnxruntime import quantization as q

    class Pictures(q.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime publishes no types
        def __init__(self) -> None:
            random = np.random.default_rng(0)
            self.left = iter([{"image": random.random((1, 3, side, side), np.float32)} for _ in range(2)])

        def get_next(self) -> Any:
            return next(self.left, None)

    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    source.write_bytes(model)
    q.quantize_static(
        str(source),
        str(target),
        Pictures(),
        quant_format=q.QuantFormat.QDQ,
        activation_type=q.QuantType.QInt8,
        weight_type=q.QuantType.QInt8,
        per_channel=True,
        extra_options=options,
    )
    return target.read_bytes()


class Watched:
    """The real builder, and what it was asked: networks, configurations and profiles."""

    def __init__(self, log: Any) -> None:
        self._real = REAL(log)
        SEEN.clear()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def create_optimization_profile(self) -> Any:
        SEEN["profile"] = self._real.create_optimization_profile()
        return SEEN["profile"]

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        SEEN["typed"] = network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        SEEN["outputs"] = [network.get_output(i).name for i in range(network.num_outputs)]
        SEEN["flags"] = {name for name, flag in trt.BuilderFlag.__members__.items() if config.get_flag(flag)}
        return self._real.build_serialized_network(network, config)


REAL = trt.Builder
SEEN: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """onnxruntime's quantiser gives advice on the log."""
    caplog.set_level("CRITICAL")


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the builder was asked for last."""
    monkeypatch.setattr(trt, "Builder", Watched)
    return SEEN


ACCEPTED = {"QuantizeBias": False, "ActivationSymmetric": True}
"""The form of int8 that TensorRT takes."""


def check(plan: Plan) -> None:
    assert plan.data.startswith(MAGIC)
    assert dataclasses.astuple(plan.engine) == ("tensorrt-rtx", trt.__version__, "any", here())


@pytest.mark.parametrize("name", BUNDLES)
def test_the_demos_models_become_plans(name: str) -> None:
    check(build_plan(*bundle(name), "tensorrt-rtx"))


def test_an_efficientnet_becomes_a_plan() -> None:
    check(build_plan(efficientnet_lite0(), contract("lite0", 224, 1000), "tensorrt-rtx"))


def test_an_int8_model_in_the_accepted_form_becomes_a_plan(tmp_path: Path) -> None:
    model, made_for = bundle("signs/primary")
    check(build_plan(quantised(model, 32, tmp_path, **ACCEPTED), made_for, "tensorrt-rtx"))


def test_the_fused_demo_becomes_a_plan() -> None:
    """Filter, primary, redundant model and their signals in one graph."""
    from edgeguard.build.fusion import fuse, signals_of

    models = {role: admitted(f"signs/{folder}") for role, folder in FUSED.items()}
    primary = models["primary"].manifest
    outputs = (
        OutputContract("probabilities", "probabilities", (1, len(primary.classes))),
        *(OutputContract(name, name, (1, 1)) for name in signals_of(models)),
    )
    made_for = ModelContract("fused", "0" * 64, "picture", (1, 3, 32, 32), outputs)
    check(build_plan(fuse(models), made_for, "tensorrt-rtx"))


@pytest.mark.slow
def test_an_int8_efficientnet_in_the_accepted_form_becomes_a_plan(tmp_path: Path) -> None:
    model = quantised(efficientnet_lite0(64), 64, tmp_path, **ACCEPTED)
    check(build_plan(model, contract("lite0", 64, 1000), "tensorrt-rtx"))


def test_int8_in_another_form_is_refused_with_the_node_and_the_form(tmp_path: Path) -> None:
    model, made_for = bundle("signs/primary")
    with pytest.raises(ContractError, match=r"node `\w+` \(\w+\): .*`QuantizeBias=False`") as refused:
        build_plan(quantised(model, 32, tmp_path), made_for, "tensorrt-rtx")
    assert "`signs-primary`" in str(refused.value)


def test_precision_is_the_graphs(tiny: Any, watched: dict[str, Any]) -> None:
    """Strongly typed, float32 not rounded, no code for the host, no refitting, and memory that a graph can capture."""
    model = tiny.classifier()
    build_plan(model.model, ModelContract.of(model), "tensorrt-rtx")
    assert watched["typed"] is True
    assert watched["flags"] == {"REQUIRE_USER_ALLOCATION"}


@pytest.mark.parametrize(("batch", "most"), [("N", 3), (1, 1)])
def test_a_plan_takes_the_batches_of_the_frame_path(
    tiny: Any, watched: dict[str, Any], batch: str | int, most: int
) -> None:
    declared = ModelContract.of(tiny.classifier(batch=batch))
    build_plan(tiny.classifier().model, declared, "tensorrt-rtx")
    shapes = [tuple(shape) for shape in watched["profile"].get_shape("image")]
    assert shapes == [(rows, 3, 8, 8) for rows in (1, 1, most)]


def test_a_fixed_batch_needs_no_profile(tiny: Any) -> None:
    model = tiny.classifier(batch=1)
    check(build_plan(model.model, ModelContract.of(model), "tensorrt-rtx"))


def test_an_operator_it_does_not_have_is_named_with_its_node(tiny: Any) -> None:
    model = tiny.classifier()
    graph = load_model_from_string(model.model)
    graph.graph.node[0].op_type, graph.graph.node[0].name = "Frobnicate", "odd one"
    with pytest.raises(ContractError, match=r"`tiny-primary`: .* node `odd one` \(Frobnicate\): "):
        build_plan(graph.SerializeToString(), ModelContract.of(model), "tensorrt-rtx")


@pytest.mark.parametrize("data", [b"garbage", b"xx", b""])
def test_bytes_that_are_no_model_are_refused(tiny: Any, data: bytes) -> None:
    with pytest.raises(ContractError, match="`tiny-primary`: "):
        build_plan(data, ModelContract.of(tiny.classifier()), "tensorrt-rtx")


def test_a_graph_that_is_not_what_the_manifest_says_is_refused(tiny: Any) -> None:
    model = tiny.classifier()
    spec = dataclasses.replace(model.manifest, outputs=(TensorSpec("scores", "float32", ("N", 3), "logits"),))
    declared = ModelContract.of(dataclasses.replace(model, manifest=spec))
    with pytest.raises(ContractError, match=r"has no output `scores` \(it has `logits`\)"):
        build_plan(model.model, declared, "tensorrt-rtx")


def test_an_output_in_half_precision_is_refused(tiny: Any) -> None:
    model = tiny.classifier()
    graph = load_model_from_string(model.model)
    graph.graph.node[-1].output[0] = "scores"
    graph.graph.node.append(helper.make_node("Cast", ["scores"], ["logits"], to=TensorProto.FLOAT16))
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(ContractError, match="output `logits` is half, not float32"):
        build_plan(graph.SerializeToString(), ModelContract.of(model), "tensorrt-rtx")


def test_outputs_that_nobody_reads_are_left_out(tiny: Any, watched: dict[str, Any]) -> None:
    build_plan(tiny.classifier(novelty=True).model, ModelContract.of(tiny.classifier()), "tensorrt-rtx")
    assert watched["outputs"] == ["logits"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, r"cannot build a plan \(.+\): change the ONNX"),
        (RuntimeError("no memory"), "cannot build a plan: no memory"),
    ],
)
def test_a_build_that_fails_is_refused(
    tiny: Any, monkeypatch: pytest.MonkeyPatch, answer: Exception | None, words: str
) -> None:
    class Failing(Watched):
        def build_serialized_network(self, network: Any, config: Any) -> Any:
            if answer is not None:
                raise answer

    monkeypatch.setattr(trt, "Builder", Failing)
    model = tiny.classifier()
    with pytest.raises(ContractError, match=rf"`tiny-primary`: .*{words}"):
        build_plan(model.model, ModelContract.of(model), "tensorrt-rtx")


def test_a_graph_that_does_not_take_the_frame_paths_batches_is_refused(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Narrow(Watched):
        def create_builder_config(self) -> Any:
            return SimpleNamespace(
                clear_flag=lambda _: None, set_flag=lambda _: None, add_optimization_profile=lambda _: -1
            )

    monkeypatch.setattr(trt, "Builder", Narrow)
    model = tiny.classifier()
    with pytest.raises(ContractError, match="does not take 1 to 3 pictures at once"):
        build_plan(model.model, ModelContract.of(model), "tensorrt-rtx")


def test_without_a_device_tensorrt_is_refused_and_tensorrt_rtx_is_not(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(Machine(devices=0)))
    model = tiny.classifier()
    with pytest.raises(ContractError, match="no CUDA device can be used here"):
        build_plan(model.model, ModelContract.of(model), "tensorrt")
    check(build_plan(model.model, ModelContract.of(model), "tensorrt-rtx"))


def test_a_plan_of_tensorrt_is_bound_to_the_devices_compute_capability(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same code builds for both: here the real builder stands in for the one that needs a device."""
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(Machine()))
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    model = tiny.classifier()
    engine = build_plan(model.model, ModelContract.of(model), "tensorrt").engine
    assert (engine.kind, engine.compute_capability) == ("tensorrt", "8.7")
