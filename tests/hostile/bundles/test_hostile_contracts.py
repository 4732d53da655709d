"""Hostile models, each properly signed, that are read in several ways, or are not what was declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from tests.hostile.bundles.builders import good_model
from tests.hostile.bundles.builders_graphs import Build, changed, make, whole, with_nodes


def _tensor(**fields: Any) -> Build:
    """The good model with a tensor of these fields."""
    return changed(lambda m: m.graph.initializer.append(TensorProto(name="t", **fields)))


_SPOILED = b"\0" * 4
INVALID: dict[str, Build] = {
    "values in two forms": _tensor(data_type=1, dims=[1], raw_data=_SPOILED, float_data=[1.0]),
    "values in the form of another type": _tensor(data_type=1, dims=[1], int64_data=[1]),
    "more raw bytes than the shape says": _tensor(data_type=1, dims=[1], raw_data=_SPOILED * 2),
    "fewer raw bytes than the shape says": _tensor(data_type=1, dims=[2], raw_data=_SPOILED),
    "more values than the shape says": _tensor(data_type=1, dims=[1], float_data=[1.0, 2.0]),
    "values in a tensor of none": _tensor(data_type=1, dims=[0], raw_data=_SPOILED),
    "no values": _tensor(data_type=1, dims=[2]),
    "negative size": _tensor(data_type=1, dims=[-1]),
    "sizes whose product is beyond 64 bits": _tensor(data_type=1, dims=[2**32, 2**32], raw_data=_SPOILED),
    "sizes whose product is beyond 64 bits, with a zero": _tensor(data_type=1, dims=[0, 2**40, 2**40]),
    "too many axes": _tensor(data_type=1, dims=[1] * 33, raw_data=_SPOILED),
    "unknown type": _tensor(data_type=99, dims=[0]),
    "no type": _tensor(dims=[0]),
    "text as raw bytes": _tensor(data_type=8, dims=[1], raw_data=_SPOILED),
    "part of a tensor": _tensor(
        data_type=1, dims=[1], raw_data=_SPOILED, segment=TensorProto.Segment(begin=0)
    ),
    "two weights of the same name": changed(
        lambda m: m.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0]))
    ),
    "standard operators imported under both names": lambda: with_nodes(domains=["ai.onnx"]),
    "a graph for training": changed(lambda m: m.training_info.add()),
    "a second graph": lambda: good_model() + b"\x3a\x00",
    "bytes behind, in a field that ONNX does not have": lambda: good_model() + b"\xfa\x01\x04evil",
    "a second producer": lambda: good_model() + b"\x12\x00\x12\x00",
    "an attribute that holds two values": changed(lambda m: _second_value(m.graph.node[1])),
    "an attribute without a type": changed(lambda m: _untyped(m.graph.node[1])),
    "a value made twice": lambda: with_nodes(make("Relu", ["image"], ["pooled"])),
    "a value nobody makes": lambda: with_nodes(make("Relu", ["nothing"], ["o"])),
    "a value used before it is made": lambda: with_nodes(make("Relu", ["pooled"], ["o"])),
    "an input nobody fills in": lambda: with_nodes(make("Add", ["image", ""], ["o"])),
    "more outputs than there are": lambda: with_nodes(make("Relu", ["image"], ["o", "p"])),
    "shapes that do not fit": lambda: with_nodes(make("MatMul", ["image", "w"], ["o"])),
    "a slope larger than what it slopes": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["column"]),
        make("ConstantOfShape", ["t"], ["row"]),
        make("PRelu", ["column", "row"], ["o"]),
        tensors=[whole("s", 500_000, 1), whole("t", 1, 500_000)],
    ),
    "no axes at all": lambda: with_nodes(make("Squeeze", ["image", "a"], ["o"]), tensors=[whole("a")]),
    "no branch": lambda: with_nodes(make("If", ["image"], ["o"])),
    "a stride of 0": lambda: with_nodes(
        make("MaxPool", ["image"], ["o"], kernel_shape=[1, 1], strides=[0, 0])
    ),
    "a name that is no text": lambda: good_model().replace(b"pooled", b"po\xff\xfeed"),
    "an endless name": lambda: with_nodes(make("Relu", ["image"], ["o" * 2000])),
    "an endless attribute": lambda: with_nodes(make("Relu", ["image"], ["o"], junk=[1] * 10**6)),
    "an endless text": lambda: with_nodes(make("Constant", [], ["o"], value_string="x" * 10**6)),
    "functions that call each other": lambda: with_nodes(
        make("F", ["image"], ["o"], domain="local"),
        domains=["local"],
        functions=[
            helper.make_function(
                "local",
                "F",
                ["x"],
                ["y"],
                [make("F", ["x"], ["y"], domain="local")],
                [helper.make_opsetid("local", 1)],
            )
        ],
    ),
    "too many axes on the way": lambda: with_nodes(
        make("Unsqueeze", ["image", "a"], ["o"]), tensors=[whole("a", *range(40))]
    ),
}


def _second_value(node: Any) -> None:
    node.attribute.append(helper.make_attribute("axis", 1))
    node.attribute[0].s = b"hidden"


def _untyped(node: Any) -> None:
    node.attribute.append(onnx.AttributeProto(name="axis", i=1))


def _of_input(change: Callable[[Any], object]) -> Build:
    return changed(lambda m: change(m.graph.input[0]))


def _of_output(change: Callable[[Any], object]) -> Build:
    return changed(lambda m: change(m.graph.output[0]))


def _renamed(model: Any) -> None:
    model.graph.output[0].name = "scores"
    model.graph.node[-1].output[0] = "scores"


def _open_output(model: Any) -> None:
    """Three classes where the manifest says two, and the graph says nothing."""
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.graph.initializer[0].CopyFrom(helper.make_tensor("w", TensorProto.FLOAT, [3, 3], [0.0] * 9))


def _rename_input(model: Any, name: str) -> None:
    model.graph.input[0].name = name
    model.graph.node[0].input[0] = name


def _picture() -> Any:
    return helper.make_tensor("image", TensorProto.FLOAT, [1, 3, 4, 4], [0.0] * 48)


def _cast_output(model: Any) -> None:
    model.graph.node[-1].output[0] = "real"
    model.graph.node.append(make("Cast", ["real"], ["logits"], to=TensorProto.DOUBLE))


def _first_only(model: Any) -> None:
    model.graph.node[-1].output[0] = "all"
    model.graph.node.append(make("ReduceMax", ["all", "rows"], ["logits"]))
    model.graph.initializer.append(whole("rows", 0))


CONTRACT: dict[str, Build] = {
    "another input": changed(lambda m: _rename_input(m, "picture")),
    "a second input": changed(
        lambda m: m.graph.input.append(helper.make_tensor_value_info("key", TensorProto.FLOAT, [1]))
    ),
    "no input": changed(lambda m: (m.graph.input.pop(), m.graph.initializer.append(_picture()))),
    "input of another type": _of_input(lambda v: setattr(v.type.tensor_type, "elem_type", TensorProto.UINT8)),
    "input without a type": _of_input(lambda v: v.ClearField("type")),
    "input of another size": _of_input(lambda v: setattr(v.type.tensor_type.shape.dim[2], "dim_value", 8)),
    "input of another rank": _of_input(lambda v: v.type.tensor_type.shape.dim.pop()),
    "input of one picture where any number is declared": _of_input(
        lambda v: setattr(v.type.tensor_type.shape.dim[0], "dim_value", 1)
    ),
    "input of no size": _of_input(lambda v: setattr(v.type.tensor_type.shape.dim[2], "dim_value", 0)),
    "another output": changed(_renamed),
    "output of another type": _of_output(
        lambda v: setattr(v.type.tensor_type, "elem_type", TensorProto.INT64)
    ),
    "output that says another size": _of_output(
        lambda v: setattr(v.type.tensor_type.shape.dim[1], "dim_value", 3)
    ),
    "output that is of another size": changed(_open_output),
    "output that is of another type than it says": changed(_cast_output),
    "output of one picture whatever goes in": changed(_first_only),
    "two outputs of one name": changed(lambda m: m.graph.output.append(m.graph.output[0])),
}


CASES: dict[str, tuple[str, Build]] = {
    **{f"invalid: {name}": ("model-invalid", build) for name, build in INVALID.items()},
    **{f"contract: {name}": ("contract-mismatch", build) for name, build in CONTRACT.items()},
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_model_file_is_refused_although_it_is_signed(
    case: str, refused_model: Callable[[bytes, str], None]
) -> None:
    reason, build = CASES[case]
    refused_model(build(), reason)
