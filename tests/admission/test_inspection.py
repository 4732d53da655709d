"""What inspection tells of a model, what its limits allow, and that no bytes make it fail in any other way."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edgeguard.admission.graph.contract import MOST_ROWS
from edgeguard.admission.graph.facts import Edge, GraphFacts
from edgeguard.admission.graph.operators import OPERATORS
from edgeguard.admission.inspection import describe_onnx, inspect_model, inspect_onnx
from edgeguard.admission.manifest import Manifest, parse_manifest
from edgeguard.errors import AdmissionError
from edgeguard.inference import conformance
from edgeguard.terms import Limits
from tests.hostile.bundles.builders import good_model, manifest
from tests.hostile.bundles.builders_graphs import branch, laughs, make, one, whole, with_nodes
from tests.inference.networks import efficientnet_lite0

LIMITS = Limits()
GOOD_MEMORY = 4 * (3 + 3 + 2)
"""Pooled, flat, logits."""


@pytest.fixture
def declared() -> Manifest:
    return parse_manifest(manifest(), "edgeguard.json")


def reason(call: Callable[[], object]) -> str:
    """Return the reason of a refusal, empty where there is none."""
    try:
        call()
    except AdmissionError as error:
        return error.reason
    return ""


def test_facts_of_a_small_model() -> None:
    assert describe_onnx(good_model(), "model.onnx") == GraphFacts(
        ir_version=8,
        opsets={"": 17},
        operators={"Flatten": 1, "GlobalAveragePool": 1, "MatMul": 1},
        custom_domains=(),
        functions=(),
        nodes=3,
        tensors=4,
        weight_bytes=24,
        memory=GOOD_MEMORY,
        why_open="",
        inputs=(Edge("image", "float32", ("N", 3, 4, 4)),),
        outputs=(Edge("logits", "float32", ("N", 2)),),
        producer="",
    )


def test_facts_of_a_model_beyond_every_limit() -> None:
    data = with_nodes(
        make("Relu", ["image"], ["o"], domain="evil.example"),
        make("F0", ["image"], ["p"], domain="local"),
        make("NonZero", ["image"], ["q"]),
        domains=["evil.example", "local"],
        functions=laughs(2),
        opset=99,
    )
    facts = describe_onnx(data, "model.onnx")
    assert facts.custom_domains == ("evil.example",)
    assert facts.functions == ("local::F0", "local::F1")
    assert facts.operators["local::F1"] == 10
    assert facts.opsets[""] == 99
    assert (facts.memory, bool(facts.why_open)) == (None, True)


def test_facts_of_a_model_that_is_none() -> None:
    assert reason(lambda: describe_onnx(b"no model", "model.onnx")) == "model-invalid"


def test_a_large_network_is_admitted_and_its_memory_is_that_of_its_values() -> None:
    facts = describe_onnx(efficientnet_lite0(224), "model.onnx")
    assert facts.nodes == 94
    assert facts.memory is not None
    assert 50e6 < facts.memory < 120e6
    inspect_onnx(efficientnet_lite0(224), "model.onnx")


def test_the_frame_path_gives_no_more_pictures_at_once_than_were_worked_out() -> None:
    assert MOST_ROWS == conformance.MOST_ROWS


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(memory=GOOD_MEMORY), ""),
        (Limits(memory=GOOD_MEMORY - 1), "too-much-memory"),
        (Limits(nodes=3), ""),
        (Limits(nodes=2), "too-large"),
        (Limits(tensors=4), ""),
        (Limits(tensors=3), "too-large"),
        (Limits(opset=(17, 17)), ""),
        (Limits(opset=(18, 20)), "opset-unsupported"),
        (Limits(opset=(7, 16)), "opset-unsupported"),
    ],
)
def test_limits_are_held_to_the_last_one(limits: Limits, expected: str, declared: Manifest) -> None:
    assert reason(lambda: inspect_model(good_model(), declared, limits, "model.onnx")) == expected


def test_an_allowed_operator_is_taken_at_the_shape_that_the_file_declares(declared: Manifest) -> None:
    def build(*dims: Any) -> bytes:
        value = helper.make_tensor_value_info("o", TensorProto.FLOAT, list(dims))
        node = make("Blur", ["image"], ["o"], domain="own")
        return with_nodes(node, domains=["own"], change=lambda m: m.graph.value_info.append(value))

    allowed = Limits(operators=("own::Blur",))
    assert reason(lambda: inspect_model(build("N", 3, 4, 4), declared, allowed, "m")) == ""
    assert reason(lambda: inspect_model(build("N", 3, "H", 4), declared, allowed, "m")) == "too-much-memory"
    assert reason(lambda: inspect_model(build("N", 10**9, 4, 4), declared, allowed, "m")) == "too-much-memory"
    assert reason(lambda: inspect_model(build("N", 3, 4, 4), declared, LIMITS, "m")) == "custom-operator"
    other = Limits(operators=("Blur", "own::blur"))
    assert reason(lambda: inspect_model(build("N", 3, 4, 4), declared, other, "m")) == "custom-operator"


def test_an_allowed_standard_operator_still_may_not_hide_another(declared: Manifest) -> None:
    body = branch("b", make("NonZero", ["c"], ["d"]), output="d")
    data = with_nodes(make("Loop", ["n", ""], [], body=body), tensors=[one("n", 3)])
    assert (
        reason(lambda: inspect_model(data, declared, Limits(operators=("Loop",)), "m")) == "operator-unknown"
    )
    both = Limits(operators=("Loop", "NonZero"))
    assert reason(lambda: inspect_model(data, declared, both, "m")) == ""


def test_a_graph_may_leave_open_what_the_manifest_says(declared: Manifest) -> None:
    def open_edges(model: Any) -> None:
        for size in model.graph.input[0].type.tensor_type.shape.dim:
            size.dim_param = "any"
        model.graph.output[0].ClearField("type")

    inspect_model(with_nodes(change=open_edges), declared, LIMITS, "model.onnx")


def test_a_manifest_of_one_picture_takes_a_graph_of_one_or_of_any_number(declared: Manifest) -> None:
    single = dataclasses.replace(
        declared,
        input=dataclasses.replace(declared.input, shape=(1, 3, 4, 4)),
        outputs=(dataclasses.replace(declared.outputs[0], shape=(1, 2)),),
    )
    inspect_model(with_nodes(), single, LIMITS, "model.onnx")
    inspect_model(with_nodes(batch=1), single, LIMITS, "model.onnx")


def test_further_outputs_of_a_graph_are_nobodys_business(declared: Manifest) -> None:
    data = with_nodes(change=lambda m: m.graph.output.append(helper.make_empty_tensor_value_info("pooled")))
    inspect_model(data, declared, LIMITS, "model.onnx")


def test_a_mismatch_names_both_sides(declared: Manifest) -> None:
    data = with_nodes(
        change=lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 3)
    )
    with pytest.raises(
        AdmissionError, match=r"float32 \['N', 3\].*`edgeguard.json` declares float32 \['N', 2\]"
    ):
        inspect_model(data, declared, LIMITS, "model.onnx")


def test_weights_that_are_inputs_too_are_no_inputs(declared: Manifest) -> None:
    weight = helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 2])
    inspect_model(with_nodes(change=lambda m: m.graph.input.append(weight)), declared, LIMITS, "model.onnx")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (kind, [0, 1, 1])
        for kind in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23)
    ],
)
@pytest.mark.parametrize("raw", [False, True])
def test_tensors_of_every_type_are_read_in_both_forms(kind: int, values: list[int], raw: bool) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    if raw and kind in (21, 22, 23):
        tensor = helper.make_tensor("t", kind, [3], b"\x10\x01", raw=True)
    else:
        given = np.array(values).astype(dtype)
        tensor = helper.make_tensor("t", kind, [3], given.tobytes() if raw else given, raw=raw)
    data = with_nodes(change=lambda m: m.graph.initializer.append(tensor))
    onnx.checker.check_model(data)
    facts = describe_onnx(data, "model.onnx")
    assert facts.weight_bytes == 24 + (3 * (4 if kind in (21, 22, 23) else dtype.itemsize * 8) + 7) // 8


@settings(max_examples=int(os.environ.get("EDGEGUARD_MODELS", "400")), deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(max_size=6)), min_size=1, max_size=3),
    cut=st.booleans(),
)
def test_mutated_models_are_refused_or_described_and_never_a_traceback(
    edits: list[tuple[int, bytes]], cut: bool
) -> None:
    declared = parse_manifest(manifest(), "edgeguard.json")
    data = _varied()
    for offset, patch in edits:
        at = offset % len(data)
        data = data[:at] + patch + data[at + (len(patch) if cut else 0) :]
    refused = reason(lambda: inspect_model(data, declared, LIMITS, "model.onnx"))
    if not refused:
        facts = describe_onnx(data, "model.onnx")
        assert facts.memory is not None
        assert [edge.name for edge in facts.inputs] == ["image"]
        assert facts.memory <= LIMITS.memory


def _varied() -> bytes:
    """A model with a bit of everything."""
    return with_nodes(
        make("Constant", [], ["pads"], value_ints=[0, 0, 1, 1, 0, 0, 1, 1]),
        make("Pad", ["image", "pads"], ["p"]),
        make("Shape", ["p"], ["s"]),
        make("Slice", ["s", "two", "four"], ["sides"]),
        make("Concat", ["two", "sides"], ["c"], axis=0),
        make("ConstantOfShape", ["c"], ["zeros"], value=helper.make_tensor("z", TensorProto.INT64, [1], [1])),
        make("F0", ["p"], ["f"], domain="local"),
        make(
            "If",
            ["truth"],
            ["o"],
            then_branch=branch("t", make("Identity", ["f"], ["a"]), output="a"),
            else_branch=branch("e", make("Abs", ["f"], ["b"]), output="b"),
        ),
        make("Resize", ["o", "", "scales"], ["large"], mode="nearest"),
        make("Range", ["zero", "three", "one"], ["r"]),
        tensors=[
            whole("two", 2),
            whole("four", 4),
            one("truth", True, np.bool_),
            *(one(name, value) for name, value in (("zero", 0), ("three", 3), ("one", 1))),
            helper.make_tensor("scales", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0]),
        ],
        functions=laughs(2),
        domains=["local"],
    )


def test_the_model_that_is_mutated_is_a_good_one(declared: Manifest) -> None:
    onnx.checker.check_model(_varied(), full_check=True)
    inspect_model(_varied(), declared, LIMITS, "model.onnx")


def test_the_page_lists_just_the_operators_that_are_known() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/bundle-format.md").read_text()
    table = page.partition("Known are\n\n")[2].partition("\n\n")[0]
    rows = [row.split("|")[2] for row in table.splitlines()[2:]]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == list(OPERATORS)
