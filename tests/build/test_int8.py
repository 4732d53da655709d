"""Eight bits: the same bytes each time, close to the original, in the form a runtime takes, float where it counts."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from typing import Any

import onnx
import pytest

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import Engine
from edgeguard.build import compare, quantise
from edgeguard.build.pictures import Tensors, fitted, held_out
from edgeguard.errors import ContractError, UsageError
from edgeguard.inference.backends import open_backend
from edgeguard.inference.session import ModelContract
from tests.build.small import Kind, classifier, denoiser, pictures

SET = pictures(90, seed=5)


def quantised(model: AdmittedModel, target: str = "cpu") -> AdmittedModel:
    return dataclasses.replace(model, model=quantise(model, fitted(SET), target))


def operators(data: bytes) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load_from_string(data).graph.node)


def maker(data: bytes, tensor: str) -> str:
    """The operator that makes a tensor."""
    return next(str(n.op_type) for n in onnx.load_from_string(data).graph.node if tensor in n.output)


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
def test_the_same_model_and_pictures_give_the_same_bytes(target: str) -> None:
    model = classifier(novelty=True)
    assert quantise(model, fitted(SET), target) == quantise(model, fitted(SET), target)


@pytest.mark.parametrize("target", ["cpu", "tensorrt"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", ["N", 1])
def test_a_classifier_keeps_its_answers(target: str, layout: str, batch: str | int) -> None:
    model = classifier(layout=layout, batch=batch, seed=4)
    found = compare({"primary": model}, {"primary": quantised(model, target)}, held_out(SET), ())
    assert found.agreement >= 0.9
    assert 0.0 < found.deviation < 0.2


def test_weights_are_eight_bits_by_channel_but_the_first_convolution_is_not() -> None:
    data = quantise(classifier(), fitted(SET), "cpu")
    weights = {w.name: w for w in onnx.load_from_string(data).graph.initializer}
    kinds = Counter(w.data_type for w in weights.values() if len(w.dims) > 1)
    assert kinds[onnx.TensorProto.INT8] == 2
    assert kinds[onnx.TensorProto.FLOAT] == 1


def test_what_comes_before_the_first_convolution_is_in_eight_bits_for_onnxruntime_only() -> None:
    """A padding in float there made the demo's second network twice as slow."""
    for target, rounded in (("cpu", True), ("tensorrt", False)):
        graph = onnx.load_from_string(quantise(classifier(), fitted(SET), target)).graph
        assert any(n.op_type == "QuantizeLinear" and n.input[0] == "image" for n in graph.node) is rounded


def test_the_answer_is_not_rounded_to_eight_bits() -> None:
    data = quantise(classifier(), fitted(SET), "cpu")
    assert maker(data, "logits") == "Gemm"
    graph = onnx.load_from_string(data).graph
    assert {w.name for w in graph.initializer} <= {name for node in graph.node for name in node.input}
    probable = quantise(classifier(meaning="probabilities"), fitted(SET), "cpu")
    assert maker(probable, "probabilities") == "Softmax"
    session = open_backend("onnxruntime").load(quantised(classifier(meaning="probabilities")))
    tensors = Tensors(classifier().manifest)
    sums = [float(session.run(tensors(image))["probabilities"].sum()) for image, _, _ in held_out(SET)]
    assert sums == pytest.approx([1.0] * len(sums), abs=1e-6)


def test_what_only_a_novelty_needs_stays_in_float() -> None:
    plain, with_novelty = (quantise(classifier(novelty=n), fitted(SET), "cpu") for n in (False, True))
    left = operators(with_novelty) - operators(plain)
    assert left == Counter({"Mul": 1, "MatMul": 1})


def test_the_form_for_tensorrt_rounds_no_bias_and_has_no_offset() -> None:
    data = quantise(classifier(), fitted(SET), "tensorrt")
    graph = onnx.load_from_string(data).graph
    points = [w for w in graph.initializer if w.name.endswith("zero_point")]
    assert points
    assert all(not onnx.numpy_helper.to_array(w).any() for w in points)
    assert onnx.TensorProto.INT32 not in {w.data_type for w in graph.initializer}


def test_tensorrt_rtx_takes_that_form() -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed (it has x86-64 wheels)")
    from edgeguard.build import plan

    model = quantised(classifier(height=16, width=16), "tensorrt")
    made = plan(model, "tensorrt-rtx")
    assert made.engine.kind == "tensorrt-rtx"
    assert len(made.data) > 1000


def test_only_domains_that_are_used_are_imported() -> None:
    model = onnx.load_from_string(quantise(classifier(), fitted(SET), "cpu"))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]


def test_a_filter_is_judged_by_its_pictures() -> None:
    model = denoiser()
    found = compare({"primary": model}, {"primary": quantised(model)}, held_out(SET), ())
    assert (found.samples, found.accuracy) == (30, None)
    assert 0.0 < found.deviation < 0.05
    itself = compare({"primary": model}, {"primary": model}, held_out(SET), ())
    assert (itself.agreement, itself.deviation) == (1.0, 0.0)


def test_agreement_is_also_told_where_the_original_is_sure() -> None:
    model = classifier(temperature=0.2)
    found = compare({"primary": model}, {"primary": model}, held_out(SET), ())
    assert found.sure is not None
    assert 0 < found.sure[0] <= 30
    assert found.sure[1] == 1.0
    assert "50% sure | 100.00% of" in "\n".join(found.rows())


def test_labels_show_what_is_lost() -> None:
    labelled = pictures(90, seed=5, labels=True)
    model = classifier()
    wrong = dataclasses.replace(
        model, manifest=dataclasses.replace(model.manifest, classes=("b", "a", "c", "d"))
    )
    found = compare({"primary": model}, {"primary": wrong}, held_out(labelled), ())
    assert found.accuracy is not None
    assert found.accuracy_loss == pytest.approx(found.accuracy[0] - found.accuracy[1])
    assert found.accuracy[1] == 0.0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (classifier(opset=12), "opset 12: export it with 13 or later"),
        (
            dataclasses.replace(
                classifier(), manifest=dataclasses.replace(classifier().manifest, role="fused")
            ),
            "quantise the models it was made from",
        ),
        (
            dataclasses.replace(
                classifier(),
                manifest=dataclasses.replace(
                    classifier().manifest, engine=Engine("tensorrt", "10.3.0", "8.7", "linux-aarch64")
                ),
            ),
            "is a plan or a fused graph",
        ),
        (dataclasses.replace(classifier(), model=b"\x08\x08"), "cannot be quantised|uses ONNX opset 0"),
    ],
)
def test_what_cannot_be_quantised_is_refused(model: AdmittedModel, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        quantise(model, fitted(SET), "cpu")


def test_without_onnx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in sys.modules if n == "onnx" or n.startswith("onnx.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"edgeguard-runtime\[build\]"):
        quantise(classifier(), fitted(SET), "cpu")


def test_nothing_that_is_held_out_is_fitted() -> None:
    def seen(images: Any) -> set[bytes]:
        return {image.tobytes() for image in images}

    kept = seen(image for image, _, _ in held_out(SET))
    assert len(kept) == 30
    assert not kept & seen(fitted(SET))
    assert len(list(fitted(pictures(1000)))) == 200


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_tensors_are_batches_of_one(layout: str) -> None:
    manifest = dataclasses.replace(classifier().manifest, input=Kind(layout=layout).spec)
    batch = Tensors(manifest)(next(SET.images()))
    assert batch.shape == ModelContract.of(AdmittedModel(manifest, b"", "", "")).input_of(1)
