"""onnxruntime runs exactly what the manifest declares, on the provider asked for, without telemetry."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgeguard.admission import TensorSpec
from edgeguard.errors import ContractError, UsageError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.onnx_backend import OnnxBackend, import_onnxruntime
from edgeguard.inference.session import InferenceError, ModelContract, checked

ROOT = Path(__file__).resolve().parents[2]


def changed(model: Any, **changes: Any) -> Any:
    """The same bytes under another manifest."""
    return dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, **changes))


def test_outputs_come_by_meaning_in_their_declared_shape(tiny: Any) -> None:
    session = OnnxBackend().load(tiny.classifier(novelty=True))
    outputs = session.run(np.zeros((2, 3, 8, 8), np.float32))
    assert {k: v.shape for k, v in outputs.items()} == {"logits": (2, 3), "novelty": (2,)}
    session.close()


def test_auto_is_onnxruntime_on_the_cpu() -> None:
    backend = open_backend("auto")
    assert backend.name == "onnxruntime"
    assert backend.describe()["provider"] == "CPUExecutionProvider"
    assert backend.describe()["telemetry"] == "off"


def test_a_provider_that_is_not_there_is_refused_and_nothing_falls_back() -> None:
    with pytest.raises(ContractError, match=r"CUDAExecutionProvider.*backend: onnxruntime"):
        open_backend("onnxruntime-cuda")


def test_an_unknown_backend_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError, match="unknown backend `onnxrt`"):
        open_backend("onnxrt")


class Recorded:
    """An onnxruntime that has every provider, and keeps what it was asked for. Its sessions cannot be made."""

    __version__ = "1.99"
    ExecutionMode = SimpleNamespace(ORT_SEQUENTIAL=0)

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.options = SimpleNamespace(add_session_config_entry=self.entries.__setitem__)
        self.asked: dict[str, Any] = {}

    def SessionOptions(self) -> Any:
        return self.options

    def get_available_providers(self) -> list[str]:
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, _model: bytes, _options: object, **asked: Any) -> object:
        self.asked = asked
        raise RuntimeError("no device\nand a second line")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    runtime = Recorded()
    monkeypatch.setattr("edgeguard.inference.onnx_backend.import_onnxruntime", lambda: runtime)
    return runtime


def failed(backend: OnnxBackend, model: Any) -> None:
    with pytest.raises(ContractError, match=r"cannot load the model: no device$"):
        backend.load(model)


def test_a_session_has_one_thread_that_sleeps_when_it_waits(tiny: Any, recorded: Recorded) -> None:
    failed(OnnxBackend(), tiny.classifier())
    assert recorded.options.intra_op_num_threads == recorded.options.inter_op_num_threads == 1
    assert recorded.entries == {
        "session.intra_op.allow_spinning": "0",
        "session.inter_op.allow_spinning": "0",
    }


@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_no_provider_may_leave_anything_to_the_cpu_by_itself(
    tiny: Any, recorded: Recorded, name: str
) -> None:
    failed(OnnxBackend(name), tiny.classifier())
    assert recorded.entries["session.disable_cpu_ep_fallback"] == "1"
    # The Python session would otherwise change to the CPU by itself, at the start or in the middle of a frame.
    assert recorded.asked["enable_fallback"] == 0
    assert recorded.asked["read_config_from_model"] == 0


def test_the_policy_may_allow_nodes_on_the_cpu_and_they_are_counted(tiny: Any, recorded: Recorded) -> None:
    failed(OnnxBackend("onnxruntime-cuda", cpu_fallback=True), tiny.classifier())
    assert "session.disable_cpu_ep_fallback" not in recorded.entries
    assert recorded.entries["session.record_ep_graph_assignment_info"] == "1"
    assert recorded.asked["enable_fallback"] == 0


def test_no_provider_keeps_an_engine_or_lowers_precision(tiny: Any, recorded: Recorded) -> None:
    failed(OnnxBackend("onnxruntime-tensorrt"), tiny.classifier())
    (first, options), (second, cuda) = recorded.asked["providers"]
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert set(options) >= {
        "trt_engine_cache_enable",
        "trt_timing_cache_enable",
        "trt_fp16_enable",
        "trt_int8_enable",
    }
    assert set(options.values()) == {"0"}
    assert not any("path" in option for option in options)
    assert cuda == {"use_tf32": "0"}


def test_an_environment_that_switches_engine_caches_is_refused(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORT_TENSORRT_CACHE_PATH", "/tmp/engines")
    with pytest.raises(UsageError, match=r"`ORT_TENSORRT_CACHE_PATH`.*unset"):
        OnnxBackend("onnxruntime-tensorrt")
    OnnxBackend("onnxruntime-cuda")


AZURE = "AzureExecutionProvider"
"""A provider that the CPU's wheel has too, and that takes no node: a device that runs nothing."""


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a backend on a provider that leaves every node to the CPU."""
    if AZURE not in import_onnxruntime().get_available_providers():
        pytest.skip(f"this onnxruntime has no {AZURE}")
    monkeypatch.setattr("edgeguard.inference.onnx_backend.PROVIDERS", {"onnxruntime-idle": (AZURE,)})
    return "onnxruntime-idle"


def test_a_provider_that_leaves_nodes_to_the_cpu_is_refused(tiny: Any, idle: str) -> None:
    with pytest.raises(ContractError, match=r"`tiny-primary`: onnxruntime cannot load the model: .*CPU"):
        OnnxBackend(idle).load(tiny.classifier())


def test_what_ran_where_is_said_where_the_cpu_may_help(tiny: Any, idle: str) -> None:
    session = OnnxBackend(idle, cpu_fallback=True).load(tiny.classifier())
    assert session.describe() == {"runs on": f"0 nodes on {AZURE}, 2 nodes on CPUExecutionProvider"}
    assert OnnxBackend(idle, cpu_fallback=True).describe()["cpu_fallback"] == "allowed"
    assert OnnxBackend(idle).describe()["cpu_fallback"] == "refused"


def test_an_onnxruntime_that_cannot_tell_what_ran_where_says_so(
    tiny: Any, idle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(
        import_onnxruntime().capi.onnxruntime_inference_collection.Session,
        "get_provider_graph_assignment_info",
        raising=False,
    )
    session = OnnxBackend(idle, cpu_fallback=True).load(tiny.classifier())
    assert "cannot tell which nodes" in session.describe()["runs on"]


def test_a_session_on_the_cpu_says_so(tiny: Any) -> None:
    assert OnnxBackend().load(tiny.classifier()).describe() == {"runs on": "CPUExecutionProvider"}


def test_a_provider_that_fails_on_a_frame_is_not_replaced(
    tiny: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime's own session answers the same frame again on the CPU, and prints that it does."""
    ort = import_onnxruntime()
    session = OnnxBackend().load(tiny.classifier())

    class Gone:
        """The session's inside, whose provider fails."""

        def __init__(self, inside: Any) -> None:
            self._inside = inside

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inside, name)

        def run(self, *_: object) -> None:
            raise ort.capi.onnxruntime_pybind11_state.EPFail("the device is gone")

    inside: Any = session._session  # type: ignore[attr-defined]  # of the class, not of the protocol
    monkeypatch.setattr(inside, "_sess", Gone(inside._sess))
    with pytest.raises(InferenceError, match="did not answer: the device is gone"):
        session.run(np.zeros((1, 3, 8, 8), np.float32))
    assert capsys.readouterr().out == ""


def test_the_provider_that_runs_is_the_one_asked_for(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    backend = OnnxBackend()
    monkeypatch.setattr(backend, "_provider", "CUDAExecutionProvider")
    monkeypatch.setattr(OnnxBackend, "_open", lambda *_: Other())
    with pytest.raises(ContractError, match="asked for CUDAExecutionProvider, got CPUExecutionProvider"):
        backend.load(tiny.classifier())


def test_outputs_are_the_callers_to_keep(tiny: Any) -> None:
    session = OnnxBackend().load(tiny.classifier())
    first = session.run(np.ones((1, 3, 8, 8), np.float32))["logits"]
    kept = first.copy()
    session.run(np.zeros((1, 3, 8, 8), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("image", ("N", 3, 16, 16), r"input `image` has the shape \['N', 3, 8, 8\], declared is"),
        ("picture", ("N", 3, 8, 8), r"has no input `picture` \(it has `image`\)"),
    ],
)
def test_another_input_than_declared_is_refused(
    tiny: Any, name: str, shape: tuple[Any, ...], words: str
) -> None:
    model = changed(tiny.classifier(), input=tiny.spec(name=name, shape=shape))
    with pytest.raises(ContractError, match=words) as refused:
        OnnxBackend().load(model)
    assert "`tiny-primary`" in str(refused.value)
    assert "sign the bundle" in str(refused.value)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (TensorSpec("logits", "float32", ("N", 4), "logits"), r"declared is \['N', 4\]"),
        (TensorSpec("scores", "float32", ("N", 3), "logits"), "no output `scores`"),
        (TensorSpec("logits", "float32", ("N", 3, 1), "logits"), r"declared is \['N', 3, 1\]"),
    ],
)
def test_another_output_than_declared_is_refused(tiny: Any, output: TensorSpec, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        OnnxBackend().load(changed(tiny.classifier(), outputs=(output,)))


def test_a_fixed_batch_declared_as_open_is_refused(tiny: Any) -> None:
    fixed = tiny.classifier(batch=1)
    opened = changed(fixed, input=tiny.spec(), outputs=(TensorSpec("logits", "float32", ("N", 3), "logits"),))
    with pytest.raises(ContractError, match="input `image` has the shape"):
        OnnxBackend().load(opened)


def test_a_graph_that_wants_more_than_the_picture_is_refused(tiny: Any) -> None:
    from onnx import TensorProto, load_model_from_string

    model = tiny.classifier()
    graph = load_model_from_string(model.model)
    graph.graph.input.append(helper.make_tensor_value_info("secret", TensorProto.FLOAT, [1]))
    greedy = dataclasses.replace(model, model=graph.SerializeToString())
    with pytest.raises(ContractError, match="also wants the input `secret`"):
        OnnxBackend().load(greedy)


def test_an_output_that_is_not_float32_is_refused(tiny: Any) -> None:
    from onnx import TensorProto

    model = tiny.model(
        [
            helper.make_node("Flatten", ["image"], ["flat"]),
            helper.make_node("Cast", ["flat"], ["logits"], to=TensorProto.INT64),
        ],
        {},
        spec=tiny.spec(),
        outputs=[TensorSpec("logits", "float32", ("N", 192), "logits")],
    )
    from onnx import load_model_from_string

    graph = load_model_from_string(model.model)
    graph.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    with pytest.raises(ContractError, match=r"output `logits` is tensor\(int64\), not float32"):
        OnnxBackend().load(dataclasses.replace(model, model=graph.SerializeToString()))


def test_a_shape_that_the_graph_hides_is_caught_in_the_warm_up(tiny: Any) -> None:
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Compress", ["flat", "kept"], ["logits"], axis=1),
    ]
    model = tiny.model(
        nodes,
        {"kept": np.ones(4, np.bool_)},
        spec=tiny.spec(),
        outputs=[TensorSpec("logits", "float32", ("N", 3), "logits")],
        graph_shapes={"logits": ["N", "M"]},
    )
    with pytest.raises(ContractError, match="warm-up"):
        OnnxBackend().load(model)


def test_bytes_that_are_no_model_are_refused(tiny: Any) -> None:
    with pytest.raises(ContractError, match="`tiny-primary`: onnxruntime cannot load the model"):
        OnnxBackend().load(dataclasses.replace(tiny.classifier(), model=b"not a model"))


def test_a_failure_while_running_is_an_inference_error(tiny: Any) -> None:
    session = OnnxBackend().load(tiny.brittle())
    with pytest.raises(InferenceError, match="did not answer"):
        session.run(np.ones((1, 3, 8, 8), np.float32))


def test_an_output_of_another_shape_is_an_inference_error(tiny: Any) -> None:
    contract = ModelContract.of(tiny.classifier())
    for wrong in (np.zeros((1, 4), np.float32), np.zeros((1, 3)), "text"):
        with pytest.raises(InferenceError, match="broke its contract"):
            checked(contract, [wrong], 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"outputs": ()}, "declares no output"),
        ({"outputs": (TensorSpec("x", "float32", ("N", 3), "wisdom"),)}, "unknown meaning `wisdom`"),
        ({"outputs": (TensorSpec("x", "float16", ("N", 3), "logits"),)}, "declared `float16`"),
        ({"outputs": (TensorSpec("x", "float32", ("N", "M"), "logits"),)}, "all others positive numbers"),
        ({"outputs": (TensorSpec("x", "float32", (2, 3), "logits"),)}, "first dimension"),
        (
            {
                "outputs": (
                    TensorSpec("x", "float32", ("N", 3), "logits"),
                    TensorSpec("y", "float32", ("N", 3), "logits"),
                )
            },
            "two outputs mean `logits`",
        ),
    ],
)
def test_a_manifest_that_cannot_be_run_is_refused(tiny: Any, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ContractError, match=words):
        ModelContract.of(changed(tiny.classifier(), **changes))


def test_an_input_without_four_dimensions_is_refused(tiny: Any) -> None:
    with pytest.raises(ContractError, match="four dimensions"):
        ModelContract.of(changed(tiny.classifier(), input=tiny.spec(shape=("N", 192))))


def test_an_output_without_meaning_is_not_fetched(tiny: Any) -> None:
    model = tiny.classifier()
    extra = (*model.manifest.outputs, TensorSpec("debug", "float32", ("N", 9), ""))
    assert [o.name for o in ModelContract.of(changed(model, outputs=extra)).outputs] == ["logits"]


def test_onnxruntime_that_was_imported_with_telemetry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import_onnxruntime()
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    with pytest.raises(UsageError, match="ORT_DISABLE_TELEMETRY=1"):
        import_onnxruntime()


def test_a_missing_onnxruntime_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr("importlib.import_module", lambda _: (_ for _ in ()).throw(ImportError("no wheel")))
    with pytest.raises(ContractError, match="no wheel"):
        import_onnxruntime()


WATCH = """
import os, sys, time
import numpy
before = set(os.listdir("/proc/self/task"))
from edgeguard.inference.backends import open_backend
open_backend("auto")
time.sleep(0.3)  # the telemetry thread opens its database soon after the import
# A thread of the runtime's own, and files it left in the home folder or holds open there.
threads = len(set(os.listdir("/proc/self/task")) - before)
home = os.environ["HOME"]
left = sum(len(files) for _, _, files in os.walk(home))
paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
links = [os.readlink(path) for path in paths if os.path.exists(path)]
print(threads, left, sum(link.startswith(home) for link in links))
"""


@pytest.mark.process
def test_no_telemetry_thread_and_no_telemetry_file_appear(tmp_path: Path) -> None:
    environment = {
        k: v for k, v in os.environ.items() if k not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["0", "0", "0"]
