"""A fused graph answers as the separate models do, whatever they are like; what cannot be fused is refused by name."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgeguard.admission import AdmittedModel
from edgeguard.admission.manifest import parse_manifest
from edgeguard.build import Measured, bundle, compare, fuse, fused_of, signals_of
from edgeguard.build.pictures import everything
from edgeguard.errors import ContractError
from edgeguard.inference.perception import Perception
from edgeguard.types import Frame
from tests.build.small import classifier, denoiser, pictures

Models = dict[str, AdmittedModel]
CLOSE = 2e-5


def measured(models: Models, count: int = 12) -> Measured:
    """The fused graph of some models beside them."""
    made = fused_of(models, fuse(models))
    both = {**models, "fused": made.candidate}
    return compare(models, both, everything(pictures(count)), signals_of(models))


def trio(**changes: Any) -> Models:
    return {
        "primary": classifier(seed=1, novelty=True, temperature=0.7, **changes),
        "filter": denoiser(seed=2, **changes),
        "redundant": classifier("redundant", seed=3, temperature=1.4, **changes),
    }


KINDS = st.fixed_dictionaries(
    {
        "layout": st.sampled_from(["NCHW", "NHWC"]),
        "color": st.sampled_from(["RGB", "BGR"]),
        "batch": st.sampled_from(["N", 1]),
        "seed": st.integers(0, 99),
        "normalised": st.booleans(),
    }
)
SCORES = st.fixed_dictionaries(
    {
        "meaning": st.sampled_from(["logits", "probabilities"]),
        "temperature": st.sampled_from([0.4, 1.0, 3.0]),
        "opset": st.sampled_from([13, 17]),
    }
)


@settings(max_examples=25)
@given(
    kinds=st.tuples(KINDS, KINDS, KINDS),
    scores=st.tuples(SCORES, SCORES),
    roles=st.sets(st.sampled_from(["filter", "redundant"])),
    novelty=st.booleans(),
    size=st.sampled_from([(6, 8), (5, 3), (1, 4)]),
    resize=st.sampled_from(["area", "bilinear"]),
)
def test_every_mixture_of_models_answers_as_before(
    kinds: Any, scores: Any, roles: set[str], novelty: bool, size: tuple[int, int], resize: str
) -> None:
    common: Any = {"height": size[0], "width": size[1], "resize": resize}
    models = {"primary": classifier(novelty=novelty, **common, **kinds[0], **scores[0])}
    if "filter" in roles:
        models["filter"] = denoiser(**common, **kinds[1])
    if "redundant" in roles:
        models["redundant"] = classifier("redundant", **common, **kinds[2], **scores[1])
    found = measured(models, 6)
    assert found.agreement == 1.0
    assert found.largest < CLOSE


def test_the_signals_are_those_that_the_models_allow() -> None:
    models = trio()
    assert signals_of(models) == (
        "certainty",
        "energy",
        "margin",
        "novelty",
        "reconstruction",
        "squeezing",
        "disagreement",
    )
    alone = {"primary": classifier(meaning="probabilities")}
    assert signals_of(alone) == ("certainty", "margin", "squeezing")
    assert set(measured(models).signals) == set(signals_of(models))


def test_a_primary_of_one_picture_a_run_keeps_one_copy_of_its_weights() -> None:
    batched, single = (fuse(trio(batch=batch)) for batch in ("N", 1))
    weights = [{w.name for w in onnx.load_from_string(m).graph.initializer} for m in (batched, single)]
    assert {name for name in weights[0] if "/" in name} == {name for name in weights[1] if "/" in name}


def test_the_same_models_give_the_same_bytes() -> None:
    assert fuse(trio()) == fuse(trio())


def test_the_manifest_is_one_that_admission_accepts() -> None:
    models = trio()
    made = fused_of(models, fuse(models))
    found = measured(models)
    text = bundle.manifest_json(dataclasses.replace(made.manifest, parent=bundle._parent(made, found)))
    manifest = parse_manifest(text, "m")
    assert manifest.role == "fused"
    assert manifest.parts == {role: model.digest for role, model in models.items()}
    assert manifest.parent is not None
    assert (manifest.parent.digest, manifest.parent.samples) == (models["primary"].digest, 12)


def test_the_oldest_part_decides_which_floor_the_whole_keeps() -> None:
    models = trio()
    old = dataclasses.replace(models["filter"].manifest, security_version=1)
    models["filter"] = dataclasses.replace(models["filter"], manifest=old)
    assert fused_of(models, b"").manifest.security_version == 1


def _broken(model: AdmittedModel, output: str) -> AdmittedModel:
    """The model, with NaN added to an output."""
    graph = onnx.load_from_string(model.model)
    for node in graph.graph.node:
        for i, name in enumerate(node.output):
            if name == output:
                node.output[i] = "before"
    graph.graph.initializer.append(numpy_helper.from_array(np.float32(np.nan), "nan"))
    graph.graph.node.append(helper.make_node("Add", ["before", "nan"], [output]))
    return dataclasses.replace(model, model=graph.SerializeToString())


@pytest.mark.parametrize(("role", "output"), [("primary", "logits"), ("filter", "filtered")])
def test_a_model_that_answers_nonsense_is_no_answer_when_it_is_fused(role: str, output: str) -> None:
    models = trio()
    models[role] = _broken(models[role], output)
    made = fused_of(models, fuse(models))
    perception = Perception.build({**models, "fused": made.candidate}, (), time.monotonic)
    image = next(pictures(1).images())
    seen = perception.observe(Frame(image, 0, 0.0), 0.0)
    assert seen.answer is None
    assert all(s.value is None for s in seen.signals if s.source in ("primary", "filter", "redundant"))


def test_models_of_different_opsets_are_brought_to_the_newest() -> None:
    models = {
        "primary": classifier(opset=13),
        "filter": denoiser(opset=18),
        "redundant": classifier("redundant", opset=17),
    }
    data = onnx.load_from_string(fuse(models))
    assert [(o.domain, o.version) for o in data.opset_import] == [("", 18)]
    assert measured(models).largest < CLOSE


def test_branches_and_functions_inside_a_model_survive() -> None:
    model = onnx.load_from_string(classifier().model)
    gemm = next(node for node in model.graph.node if node.op_type == "Gemm")
    function = helper.make_function(
        "own", "Scores", ["a", "b", "c"], ["d"], [helper.make_node("Gemm", ["a", "b", "c"], ["d"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    scores = helper.make_node("Scores", list(gemm.input), ["scores"], domain="own")
    value = helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["scores"], ["branch"])], kind, [], [value])
        for kind in ("Identity", "Neg")
    ]
    truth = numpy_helper.from_array(np.array(True), "truth")
    choice = helper.make_node("If", ["truth"], ["logits"], then_branch=branches[0], else_branch=branches[1])
    model.graph.node.remove(gemm)
    model.graph.node.extend([scores, choice])
    model.graph.initializer.append(truth)
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    changed = dataclasses.replace(classifier(), model=model.SerializeToString())
    assert measured({"primary": changed, "filter": denoiser()}).largest < CLOSE


def _sparse(model: AdmittedModel) -> AdmittedModel:
    graph = onnx.load_from_string(model.model)
    values = numpy_helper.from_array(np.ones(1, np.float32), "sparse")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "indices")
    graph.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [2]))
    return dataclasses.replace(model, model=graph.SerializeToString())


def _domain(model: AdmittedModel, version: int) -> AdmittedModel:
    graph = onnx.load_from_string(model.model)
    graph.opset_import.append(helper.make_opsetid("com.microsoft", version))
    return dataclasses.replace(model, model=graph.SerializeToString())


def _claims(model: AdmittedModel, **changes: Any) -> AdmittedModel:
    return dataclasses.replace(model, manifest=dataclasses.replace(model.manifest, **changes))


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"redundant": classifier("redundant")}, "a primary there must be"),
        ({"primary": classifier(), "third": classifier("redundant")}, "only primary, filter, redundant"),
        ({"primary": classifier(), "redundant": classifier("redundant", width=4)}, "4 x 6 pixels"),
        ({"primary": classifier(), "filter": denoiser(resize="bilinear")}, "by `bilinear`"),
        (
            {
                "primary": classifier(),
                "redundant": _claims(classifier("redundant"), classes=("a", "b", "c", "d")),
            },
            "other classes",
        ),
        ({"primary": _claims(classifier(), role="fused")}, "is a plan or fused already"),
        ({"primary": classifier(temperature=0.001)}, "`temperature` must be at least"),
        ({"primary": _sparse(classifier())}, "sparse weights"),
        (
            {"primary": _domain(classifier(), 1), "redundant": _domain(classifier("redundant"), 2)},
            "`com.microsoft` operators of version",
        ),
    ],
)
def test_what_cannot_be_fused_is_refused(models: Models, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        fuse(models)


def test_a_model_of_two_inputs_is_refused() -> None:
    graph = onnx.load_from_string(classifier().model)
    graph.graph.input.append(helper.make_tensor_value_info("second", TensorProto.FLOAT, [1]))
    model = dataclasses.replace(classifier(), model=graph.SerializeToString())
    with pytest.raises(ContractError, match="wants 2 inputs"):
        fuse({"primary": model})
