"""onnxruntime runs exactly what the manifest declares, on the provider asked for, without telemetry."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
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


def test_tensorrt_is_refused_with_what_to_write_instead() -> None:
    with pytest.raises(ContractError, match=r"`tensorrt` is not available.*`backend: onnxruntime`"):
        open_backend("tensorrt")


def test_an_unknown_backend_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError, match="unknown backend `onnxrt`"):
        open_backend("onnxrt")


def test_a_provider_that_did_not_start_is_refused(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = OnnxBackend()
    monkeypatch.setattr(backend, "_provider", "AzureExecutionProvider")
    with pytest.raises(ContractError):
        backend.load(tiny.classifier())


def test_the_provider_that_runs_is_the_one_asked_for(tiny: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    backend = OnnxBackend()
    monkeypatch.setattr(backend, "_provider", "CUDAExecutionProvider")
    monkeypatch.setattr(OnnxBackend, "_open", lambda *_: Other())
    with pytest.raises(ContractError, match="asked for CUDAExecutionProvider, got CPUExecutionProvider"):
        backend.load(tiny.classifier())


def test_the_entry_against_falling_back_is_set_where_it_is_allowed(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Recorded()
    monkeypatch.setattr("edgeguard.inference.onnx_backend.import_onnxruntime", lambda: runtime)
    with pytest.raises(ContractError, match=r"cannot load the model: no device$"):
        OnnxBackend("onnxruntime-cuda").load(tiny.classifier())
    assert runtime.entries["session.disable_cpu_ep_fallback"] == "1"
    assert runtime.made["enable_fallback"] == 0


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
