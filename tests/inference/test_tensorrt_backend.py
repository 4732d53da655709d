"""A plan runs as its manifest says, in the one order that TensorRT and CUDA allow; the fakes forgive nothing."""

from __future__ import annotations

import dataclasses
import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgeguard.admission import AdmittedModel, TensorSpec
from edgeguard.admission.manifest import Engine
from edgeguard.errors import ContractError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import InferenceError
from edgeguard.inference.tensorrt.backend import TensorRtBackend, here
from tests.inference.strict_cuda import Cuda, Machine
from tests.inference.strict_tensorrt import MAGIC, VERSION, Settings, module

KINDS = ("tensorrt", "tensorrt-rtx")
ENGINE = Engine("tensorrt", VERSION, "8.7", here())


@dataclass
class Rig:
    """A machine with both modules installed on it."""

    machine: Machine
    settings: Settings = field(default_factory=Settings)

    def plan(self, model: AdmittedModel, kind: str = "tensorrt", **engine: str) -> AdmittedModel:
        """The bundle that a plan of `model` would be."""
        built = dataclasses.replace(ENGINE, **({"kind": kind} | engine))
        manifest = dataclasses.replace(model.manifest, engine=built)
        return dataclasses.replace(model, manifest=manifest, model=MAGIC + model.model)


Install = Callable[..., Rig]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    machines: list[Machine] = []

    def put(**machine: Any) -> Rig:
        rig = Rig(Machine(**machine))
        machines.append(rig.machine)
        monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", Cuda(rig.machine))
        monkeypatch.setitem(sys.modules, "tensorrt", module(rig.machine, rig.settings, rtx=False))
        monkeypatch.setitem(sys.modules, "tensorrt_rtx", module(rig.machine, rig.settings, rtx=True))
        return rig

    yield put
    gc.collect()
    for machine in machines:
        assert machine.violations == []
        assert machine.leaks() == []


def pictures(rows: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).random((rows, 3, 8, 8), np.float32)


def truth(model: AdmittedModel, batch: Any) -> Any:
    return open_backend("onnxruntime").load(model).run(batch)


def same(answer: Any, expected: Any) -> None:
    assert set(answer) == set(expected)
    for meaning, values in expected.items():
        np.testing.assert_allclose(answer[meaning], values, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("batch", ["N", 1])
def test_answers_are_those_of_the_model(
    tiny: Any, install: Install, kind: str, integrated: bool, batch: str | int
) -> None:
    rig, model = install(integrated=integrated), tiny.classifier(novelty=True, batch=batch)
    session = open_backend(kind).load(rig.plan(model, kind))
    for seed, rows in enumerate((1, 2, 3, 1, 3) if batch == "N" else (1, 1, 1)):
        same(session.run(pictures(rows, seed)), truth(model, pictures(rows, seed)))
    session.close()


@pytest.mark.parametrize("kind", KINDS)
def test_frames_take_nothing_and_replay_one_graph_each(tiny: Any, install: Install, kind: str) -> None:
    rig = install()
    session = open_backend(kind).load(rig.plan(tiny.classifier(), kind))
    assert session.describe()["cuda graph"] == "on"
    before = len(rig.machine.calls)
    for rows in (1, 2, 3):
        session.run(pictures(rows))
    assert rig.machine.calls[before:] == ["cudaGraphLaunch", "cudaStreamSynchronize"] * 3
    session.close()


def test_a_device_that_shares_the_hosts_memory_copies_nothing(tiny: Any, install: Install) -> None:
    rig = install(integrated=True)
    backend = TensorRtBackend()
    session = backend.load(rig.plan(tiny.classifier()))
    assert backend.describe()["memory"] == session.describe()["memory"] == "mapped"
    assert not {"cudaMemcpyAsync", "cudaMalloc"} & set(rig.machine.calls)
    session.close()


def test_outputs_are_the_callers_to_keep(tiny: Any, install: Install) -> None:
    rig = install()
    session = TensorRtBackend().load(rig.plan(tiny.classifier()))
    first = session.run(pictures(1, 1))["logits"]
    kept = first.copy()
    session.run(pictures(1, 2))
    session.close()
    np.testing.assert_array_equal(first, kept)


def test_a_model_of_several_outputs_gives_each_by_its_meaning(tiny: Any, install: Install) -> None:
    rig, model = install(), tiny.filter(gain=0.5)
    session = TensorRtBackend().load(rig.plan(model))
    same(session.run(pictures(2)), truth(model, pictures(2)))
    session.close()


@pytest.mark.parametrize(
    "refused",
    [
        "cudaStreamBeginCapture",
        "cudaStreamEndCapture",
        "cudaGraphInstantiateWithFlags",
        "cudaGraphLaunch",
        "is_stream_capturable",
    ],
)
def test_without_a_graph_it_runs_all_the_same_and_says_so(tiny: Any, install: Install, refused: str) -> None:
    rig, model = install(), tiny.classifier()
    rig.machine.refuse.add(refused)
    session = open_backend("tensorrt-rtx").load(rig.plan(model, "tensorrt-rtx"))
    assert session.describe()["cuda graph"].startswith("off: ")
    same(session.run(pictures(3)), truth(model, pictures(3)))
    session.close()


@pytest.mark.parametrize("wrong", ["wrong_replay", "idle_replay"])
@pytest.mark.parametrize("integrated", [False, True])
def test_a_graph_that_answers_otherwise_than_the_model_is_not_used(
    tiny: Any, install: Install, integrated: bool, wrong: str
) -> None:
    rig, model = install(integrated=integrated), tiny.classifier()
    setattr(rig.settings, wrong, True)
    session = TensorRtBackend().load(rig.plan(model))
    assert session.describe()["cuda graph"] == "off: a replay gives another `logits` than an eager run"
    same(session.run(pictures(1)), truth(model, pictures(1)))
    session.close()


def test_a_device_that_breaks_while_a_graph_is_captured_is_refused(tiny: Any, install: Install) -> None:
    whole = install()
    TensorRtBackend().load(whole.plan(tiny.classifier(batch=1))).close()
    rig = install(sticky=True, fail_at=whole.machine.calls.index("cudaStreamBeginCapture"))
    with pytest.raises(ContractError, match="does not run here: "):
        TensorRtBackend().load(rig.plan(tiny.classifier(batch=1)))


def test_a_frame_that_fails_is_an_inference_error_and_the_next_one_is_answered(
    tiny: Any, install: Install
) -> None:
    rig, model = install(), tiny.classifier()
    session = TensorRtBackend().load(rig.plan(model))
    rig.machine.refuse.add("cudaGraphLaunch")
    with pytest.raises(
        InferenceError, match=r"`tiny-primary` did not answer: cudaGraphLaunch failed: cudaErrorInj"
    ):
        session.run(pictures(1))
    rig.machine.refuse.clear()
    same(session.run(pictures(1)), truth(model, pictures(1)))
    session.close()


def test_after_a_failure_that_does_not_settle_it_never_answers_again(tiny: Any, install: Install) -> None:
    rig = install()
    session = TensorRtBackend().load(rig.plan(tiny.classifier()))
    rig.machine.refuse.add("cudaStreamSynchronize")
    with pytest.raises(InferenceError, match="cudaStreamSynchronize failed"):
        session.run(pictures(1))
    rig.machine.refuse.clear()
    with pytest.raises(InferenceError, match="until it is loaded again"):
        session.run(pictures(1))
    session.close()


@pytest.mark.parametrize("shape", [(4, 3, 8, 8), (0, 3, 8, 8), (1, 3, 8, 9)])
def test_a_batch_it_was_not_loaded_for_is_refused(
    tiny: Any, install: Install, shape: tuple[int, ...]
) -> None:
    rig = install()
    session = TensorRtBackend().load(rig.plan(tiny.classifier()))
    with pytest.raises(InferenceError, match="takes batches of 1, 2, 3, not the shape"):
        session.run(np.zeros(shape, np.float32))
    session.close()


def test_what_is_closed_answers_nothing_and_may_be_closed_again(tiny: Any, install: Install) -> None:
    rig = install()
    session = TensorRtBackend().load(rig.plan(tiny.classifier()))
    session.close()
    session.close()
    with pytest.raises(InferenceError, match="is closed"):
        session.run(pictures(1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "10.2.0"}, r"version 10\.2\.0, here 10\.3\.0"),
        ({"compute_capability": "8.9"}, r"compute capability 8\.9, here 8\.7"),
        ({"platform": "linux-riscv64"}, "platform linux-riscv64, here "),
        ({"kind": "tensorrt-rtx"}, "kind tensorrt-rtx, here tensorrt"),
    ],
)
def test_a_plan_for_another_machine_is_to_be_rebuilt_and_never_read(
    tiny: Any, install: Install, changes: dict[str, str], words: str
) -> None:
    rig = install()
    with pytest.raises(ContractError, match=words) as refused:
        TensorRtBackend().load(rig.plan(tiny.classifier(), **changes))
    assert "rebuild it here with `edgeguard build`" in str(refused.value)
    assert "tamper" not in str(refused.value)
    assert "deserialize_cuda_engine" not in rig.machine.calls


def test_a_plan_bound_to_no_compute_capability_runs_on_any(tiny: Any, install: Install) -> None:
    rig = install()
    plan = rig.plan(tiny.classifier(), "tensorrt-rtx", compute_capability="any")
    open_backend("tensorrt-rtx").load(plan).close()


def test_a_plan_that_cannot_be_read_is_to_be_rebuilt(tiny: Any, install: Install) -> None:
    rig = install()
    plan = dataclasses.replace(rig.plan(tiny.classifier()), model=b"another version's plan")
    with pytest.raises(
        ContractError, match=r"cannot read the plan on Strict \(the engine plan.*compatible\): rebuild"
    ):
        TensorRtBackend().load(plan)


def test_onnx_given_to_it_is_refused_with_what_to_do(tiny: Any, install: Install) -> None:
    install()
    with pytest.raises(ContractError, match=r"holds ONNX.*`edgeguard build`.*`backend: onnxruntime`"):
        TensorRtBackend().load(tiny.classifier())


def test_a_plan_given_to_onnxruntime_is_refused_with_what_to_do(tiny: Any, install: Install) -> None:
    plan = install().plan(tiny.classifier())
    with pytest.raises(ContractError, match=r"is a plan for tensorrt.*`backend: tensorrt`"):
        open_backend("onnxruntime").load(plan)


@pytest.mark.parametrize("kind", KINDS)
def test_auto_runs_a_plan_with_what_it_was_built_for(install: Install, kind: str) -> None:
    install()
    assert open_backend("auto", engine=dataclasses.replace(ENGINE, kind=kind)).name == kind
    assert open_backend("auto").name == "onnxruntime"


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ((TensorSpec("scores", "float32", ("N", 3), "logits"),), "has no output `scores`"),
        ((TensorSpec("logits", "float32", ("N", 4), "logits"),), r"declared is \['N', 4\]"),
        (
            (
                TensorSpec("logits", "float32", ("N", 3), ""),
                TensorSpec("novelty", "float32", ("N",), "novelty"),
            ),
            "also gives `logits`, which nobody reads",
        ),
    ],
)
def test_a_plan_that_breaks_its_contract_is_refused(
    tiny: Any, install: Install, outputs: tuple[TensorSpec, ...], words: str
) -> None:
    rig = install()
    plan = rig.plan(tiny.classifier(novelty=True))
    manifest = dataclasses.replace(plan.manifest, outputs=outputs)
    with pytest.raises(ContractError, match=words):
        TensorRtBackend().load(dataclasses.replace(plan, manifest=manifest))


def test_an_output_that_the_plan_leaves_open_is_held_to_its_declaration(tiny: Any, install: Install) -> None:
    rig = install()
    plan = rig.plan(
        tiny.model(
            [helper.make_node("Flatten", ["image"], ["logits"])],
            {},
            spec=tiny.spec(),
            outputs=[TensorSpec("logits", "float32", ("N", 3), "logits")],
            graph_shapes={"logits": ["N", "M"]},
        )
    )
    with pytest.raises(
        ContractError, match=r"`logits` of the plan has the shape \[1, 1\] for 1 pictures, declared"
    ):
        TensorRtBackend().load(plan)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("dtype", "DataType.HALF", "input `image` is half, not float32"),
        ("location", "HOST", "tensor `image` of the plan is not a plain one in device memory"),
        ("format", "CHW4", "tensor `image` of the plan is not a plain one in device memory"),
        ("most", 2, "takes 1 to 2 pictures at once, and up to 3 are looked at: rebuild"),
        ("least", 2, "takes 2 to 3 pictures at once"),
        ("unknown", ("logits",), "does not say the shape of `logits`"),
    ],
)
def test_a_plan_that_cannot_take_the_frame_path_is_refused(
    tiny: Any, install: Install, setting: str, value: object, words: str
) -> None:
    rig = install()
    setattr(rig.settings, setting, value)
    with pytest.raises(ContractError, match=words):
        TensorRtBackend().load(rig.plan(tiny.classifier()))


def test_no_runtime_is_made_where_there_is_no_device(install: Install) -> None:
    rig = install(devices=0)
    with pytest.raises(ContractError, match="no CUDA device can be used here"):
        TensorRtBackend()
    assert rig.machine.calls == ["cudaGetDeviceCount"]


@pytest.mark.parametrize("name", ["cuda.bindings.runtime", "tensorrt"])
def test_what_is_not_installed_is_said_with_what_to_install(
    install: Install, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    install()
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ContractError, match=r"install.*`backend: onnxruntime`"):
        TensorRtBackend()


def test_a_call_that_the_driver_does_not_have_is_a_failure_like_any_other(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", SimpleNamespace())
    with pytest.raises(ContractError, match="no CUDA device can be used here"):
        TensorRtBackend()


def test_the_backend_describes_the_device_and_opens_nothing(install: Install) -> None:
    rig = install()
    assert TensorRtBackend().describe() == {
        "backend": "tensorrt",
        "tensorrt": VERSION,
        "device": "Strict (compute capability 8.7)",
        "memory": "copied",
    }
    assert rig.machine.objects == []
