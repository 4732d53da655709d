"""Hostile graphs, each properly signed: too large, unknown, or not what the manifest says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeguard.admission import admit_bundle
from tests.hostile.bundles.builders import Forge, good_files, good_model, write_files
from tests.hostile.bundles.builders_graphs import (
    Build,
    branch,
    doublings,
    laughs,
    make,
    one,
    reals,
    sparse_zeros,
    whole,
    with_nodes,
)

Refused = Callable[[Callable[[], object], str, str], None]
GB = 10**9
TOO_MUCH = "too-much-memory"


def _changed(change: Callable[[Any], object]) -> Build:
    return lambda: with_nodes(change=change)


def _unary(kind: str, *more: Any, **attributes: Any) -> Build:
    """A node of the picture and of some tensors."""
    names = [tensor.name if hasattr(tensor, "name") else tensor for tensor in more]
    tensors = [tensor for tensor in more if hasattr(tensor, "name")]
    return lambda: with_nodes(make(kind, ["image", *names], ["o"], **attributes), tensors=tensors)


MEMORY: dict[str, Build] = {
    "100 GB of zeros": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["o"]), tensors=[whole("s", 25, GB)]
    ),
    "expanded": _unary("Expand", whole("s", 10**8, 3, 4, 4)),
    "tiled": _unary("Tile", whole("s", 1, 1, 100_000, 100_000)),
    "product of a column and a row": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["column"]),
        make("ConstantOfShape", ["t"], ["row"]),
        make("MatMul", ["column", "row"], ["o"]),
        tensors=[whole("s", 500_000, 1), whole("t", 1, 500_000)],
    ),
    "sum of a column and a row": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["column"]),
        make("ConstantOfShape", ["t"], ["row"]),
        make("Add", ["column", "row"], ["o"]),
        tensors=[whole("s", 500_000, 1), whole("t", 1, 500_000)],
    ),
    "resized by a factor": _unary("Resize", "", reals("f", 1, 1, 10_000, 10_000)),
    "resized to a size": _unary("Resize", "", "", whole("s", 1, 3, 40_000, 40_000)),
    "upsampled": lambda: with_nodes(
        make("Upsample", ["image", "f"], ["o"]), tensors=[reals("f", 1, 1, 10_000, 10_000)], opset=9
    ),
    "padded": _unary("Pad", whole("p", 0, 0, 0, 0, 0, 0, 10**6, 10**6)),
    "counted": lambda: with_nodes(
        make("Range", ["a", "b", "c"], ["o"]), tensors=[one("a", 0), one("b", 10**11), one("c", 1)]
    ),
    "counted in small steps": lambda: with_nodes(
        make("Range", ["a", "b", "c"], ["o"]),
        tensors=[one(n, v, np.float32) for n, v in (("a", 0), ("b", 1), ("c", 1e-11))],
    ),
    "counted beyond its own type": lambda: with_nodes(
        make("Range", ["a", "b", "c"], ["o"]),
        tensors=[one(n, v, np.int32) for n, v in (("a", 2**30), ("b", -(2**31)), ("c", 1))],
    ),
    "one hot": lambda: with_nodes(
        make("OneHot", ["i", "d", "v"], ["o"]),
        tensors=[whole("i", *range(100)), one("d", 10**10), reals("v", 0, 1)],
    ),
    "doubled": lambda: doublings(40),
    "gathered": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["i"], value=helper.make_tensor("z", TensorProto.INT64, [1], [0])),
        make("Gather", ["image", "i"], ["o"]),
        tensors=[whole("s", 10**7)],
    ),
    "convolved back": lambda: with_nodes(
        make("ConvTranspose", ["image", "k"], ["o"], strides=[50_000, 50_000]),
        tensors=[helper.make_tensor("k", TensorProto.FLOAT, [3, 1, 1, 1], [0.0] * 3)],
    ),
    "padded by a convolution": lambda: with_nodes(
        make("Conv", ["image", "k"], ["o"], pads=[50_000] * 4),
        tensors=[helper.make_tensor("k", TensorProto.FLOAT, [1, 3, 1, 1], [0.0] * 3)],
    ),
    "multiplied out": lambda: with_nodes(
        make("ConstantOfShape", ["s"], ["a"]),
        make("Einsum", ["a", "a", "a"], ["o"], equation="a,b,c->abc"),
        tensors=[whole("s", 5_000)],
    ),
    "in a branch": lambda: with_nodes(
        make(
            "If",
            ["truth"],
            ["o"],
            then_branch=branch("t", make("Identity", ["image"], ["small"]), output="small"),
            else_branch=branch("e", make("Expand", ["image", "s"], ["large"]), output="large"),
        ),
        tensors=[one("truth", True, np.bool_), whole("s", 10**8, 3, 4, 4)],
    ),
    "in a function": lambda: with_nodes(
        make("F", ["image"], ["o"], domain="local"),
        domains=["local"],
        functions=[
            helper.make_function(
                "local",
                "F",
                ["x"],
                ["y"],
                [
                    make("Constant", [], ["s"], value_ints=[10**8, 3, 4, 4]),
                    make("Expand", ["x", "s"], ["y"]),
                ],
                [helper.make_opsetid("", 18)],
            )
        ],
    ),
    "in a default of a function": lambda: with_nodes(
        make("F", ["image"], ["o"], domain="local"), domains=["local"], functions=[_defaulted()]
    ),
    "functions that call functions that call functions": lambda: with_nodes(
        make("F0", ["image"], ["o"], domain="local"), domains=["local"], functions=laughs(9)
    ),
    "many pieces that are each small": lambda: with_nodes(
        *(make("Expand", ["image", "s"], [f"o{i}"]) for i in range(30)), tensors=[whole("s", 10**6, 3, 4, 4)]
    ),
    "sparse": _changed(lambda m: m.graph.sparse_initializer.append(sparse_zeros(100_000, 100_000))),
    "sparse constant": lambda: with_nodes(
        make("Constant", [], ["o"], sparse_value=sparse_zeros(10**5, 10**5))
    ),
    "size worked out from sizes": lambda: with_nodes(
        make("Shape", ["image"], ["s"]),
        make("Gather", ["s", "side"], ["h"]),
        *(make("Mul", [f"h{i}" if i else "h", f"h{i}" if i else "h"], [f"h{i + 1}"]) for i in range(5)),
        make("Concat", ["h5"], ["shape"], axis=0),
        make("ConstantOfShape", ["shape"], ["o"]),
        tensors=[whole("side", 2)],
    ),
    "small for one picture, not for three": lambda: with_nodes(
        make("Shape", ["image"], ["s"]),
        make("Gather", ["s", "first"], ["h0"]),
        *(make("Mul", [f"h{i}", f"h{i}"], [f"h{i + 1}"]) for i in range(5)),
        make("ConstantOfShape", ["h5"], ["o"]),
        tensors=[whole("first", 0)],
    ),
    "numbers that overflow where a runtime's do": lambda: with_nodes(
        make("Mul", ["a", "b"], ["big"]),
        make("Neg", ["big"], ["low"]),
        make("Max", ["low", "c"], ["size"]),
        make("Cast", ["size"], ["shape"], to=TensorProto.INT64),
        make("ConstantOfShape", ["shape"], ["o"]),
        tensors=[
            helper.make_tensor(n, TensorProto.INT32, [1], [v]) for n, v in zip("abc", (2**16, 2**15 + 1, 1))
        ],
    ),
    "a shape that the picture decides": lambda: with_nodes(
        make("ReduceMax", ["image"], ["top"], keepdims=0),
        make("Cast", ["top"], ["i"], to=TensorProto.INT64),
        make("Reshape", ["i", "flat"], ["s"]),
        make("ConstantOfShape", ["s"], ["o"]),
        tensors=[whole("flat", 1)],
    ),
    "dropped values are not known": lambda: with_nodes(
        make("Dropout", ["f", "r", "t"], ["g"]),
        make("Cast", ["g"], ["s"], to=TensorProto.INT64),
        make("ConstantOfShape", ["s"], ["o"]),
        tensors=[reals("f", 1), one("r", 0.5, np.float32), one("t", True, np.bool_)],
    ),
    "branches of different shapes": lambda: with_nodes(
        make(
            "If",
            ["truth"],
            ["o"],
            then_branch=branch("t", make("Identity", ["image"], ["a"]), output="a"),
            else_branch=branch("e", make("Flatten", ["image"], ["b"]), output="b"),
        ),
        tensors=[one("truth", True, np.bool_)],
    ),
}


def _defaulted() -> Any:
    """A function whose setting has a default that is huge."""
    fill = make("ConstantOfShape", ["s"], ["y"])
    constant = make("Constant", [], ["s"])
    constant.attribute.append(onnx.AttributeProto(name="value_ints", type=onnx.AttributeProto.INTS))
    constant.attribute[0].ref_attr_name = "size"
    function = helper.make_function(
        "local", "F", ["x"], ["y"], [constant, fill], [helper.make_opsetid("", 18)]
    )
    function.attribute_proto.append(helper.make_attribute("size", [10**6, 10**6]))
    return function


UNKNOWN: dict[str, Build] = {
    "no such operator": lambda: with_nodes(make("Frobnicate", ["image"], ["o"])),
    "size depends on values": lambda: with_nodes(make("NonZero", ["image"], ["o"])),
    "loop": lambda: with_nodes(
        make("Loop", ["n", ""], [], body=branch("b", make("Identity", ["c"], ["d"]), output="d")),
        tensors=[one("n", 10**9)],
    ),
    "random": lambda: with_nodes(make("RandomNormal", [], ["o"], shape=[3])),
    "in a branch": lambda: with_nodes(
        make(
            "If",
            ["truth"],
            ["o"],
            then_branch=branch("t", make("NonZero", ["image"], ["a"]), output="a"),
            else_branch=branch("e", make("Identity", ["image"], ["b"]), output="b"),
        ),
        tensors=[one("truth", True, np.bool_)],
    ),
    "in a function that nobody calls": lambda: with_nodes(
        domains=["local"],
        functions=[
            helper.make_function(
                "local", "F", ["x"], ["y"], [make("NonZero", ["x"], ["y"])], [helper.make_opsetid("", 18)]
            )
        ],
    ),
}

CUSTOM: dict[str, Build] = {
    "of a runtime": lambda: with_nodes(
        make("FusedConv", ["image"], ["o"], domain="com.microsoft"), domains=["com.microsoft"]
    ),
    "of a library": lambda: with_nodes(
        make("Relu", ["image"], ["o"], domain="evil.example"), domains=["evil.example"]
    ),
    "a function in a runtime's place": lambda: with_nodes(
        domains=["com.microsoft"],
        functions=[
            helper.make_function(
                "com.microsoft",
                "Gelu",
                ["x"],
                ["y"],
                [make("Relu", ["x"], ["y"])],
                [helper.make_opsetid("", 18)],
            )
        ],
    ),
    "a function in a standard operator's place": lambda: with_nodes(
        functions=[
            helper.make_function(
                "", "Relu", ["x"], ["y"], [make("Abs", ["x"], ["y"])], [helper.make_opsetid("", 18)]
            )
        ],
    ),
}


def _opset(version: int) -> Build:
    return lambda: with_nodes(opset=version)


VERSIONS: dict[str, Build] = {
    "too old": _opset(6),
    "too new": _opset(25),
    "none": _changed(lambda m: m.opset_import.pop()),
    "negative": _opset(-1),
    "not imported": lambda: with_nodes(make("Relu", ["image"], ["o"], domain="local")),
    "other in a function": lambda: with_nodes(
        domains=["local"],
        functions=[
            helper.make_function(
                "local", "F", ["x"], ["y"], [make("Relu", ["x"], ["y"])], [helper.make_opsetid("", 12)]
            )
        ],
    ),
}


def _tensor(**fields: Any) -> Build:
    """The good model with a tensor of these fields."""
    return _changed(lambda m: m.graph.initializer.append(TensorProto(name="t", **fields)))


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
    "two weights of the same name": _changed(
        lambda m: m.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0]))
    ),
    "a graph for training": _changed(lambda m: m.training_info.add()),
    "a second graph": lambda: good_model() + b"\x3a\x00",
    "bytes behind, in a field that ONNX does not have": lambda: good_model() + b"\xfa\x01\x04evil",
    "a second producer": lambda: good_model() + b"\x12\x00\x12\x00",
    "an attribute that holds two values": _changed(lambda m: _second_value(m.graph.node[1])),
    "an attribute without a type": _changed(lambda m: _untyped(m.graph.node[1])),
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
    return _changed(lambda m: change(m.graph.input[0]))


def _of_output(change: Callable[[Any], object]) -> Build:
    return _changed(lambda m: change(m.graph.output[0]))


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
    "another input": _changed(lambda m: _rename_input(m, "picture")),
    "a second input": _changed(
        lambda m: m.graph.input.append(helper.make_tensor_value_info("key", TensorProto.FLOAT, [1]))
    ),
    "no input": _changed(lambda m: (m.graph.input.pop(), m.graph.initializer.append(_picture()))),
    "input of another type": _of_input(lambda v: setattr(v.type.tensor_type, "elem_type", TensorProto.UINT8)),
    "input without a type": _of_input(lambda v: v.ClearField("type")),
    "input of another size": _of_input(lambda v: setattr(v.type.tensor_type.shape.dim[2], "dim_value", 8)),
    "input of another rank": _of_input(lambda v: v.type.tensor_type.shape.dim.pop()),
    "input of one picture where any number is declared": _of_input(
        lambda v: setattr(v.type.tensor_type.shape.dim[0], "dim_value", 1)
    ),
    "input of no size": _of_input(lambda v: setattr(v.type.tensor_type.shape.dim[2], "dim_value", 0)),
    "another output": _changed(_renamed),
    "output of another type": _of_output(
        lambda v: setattr(v.type.tensor_type, "elem_type", TensorProto.INT64)
    ),
    "output that says another size": _of_output(
        lambda v: setattr(v.type.tensor_type.shape.dim[1], "dim_value", 3)
    ),
    "output that is of another size": _changed(_open_output),
    "output that is of another type than it says": _changed(_cast_output),
    "output of one picture whatever goes in": _changed(_first_only),
    "two outputs of one name": _changed(lambda m: m.graph.output.append(m.graph.output[0])),
}


CASES: dict[str, tuple[str, Build]] = {
    **{f"memory: {name}": (TOO_MUCH, build) for name, build in MEMORY.items()},
    **{f"unknown: {name}": ("operator-unknown", build) for name, build in UNKNOWN.items()},
    **{f"custom: {name}": ("custom-operator", build) for name, build in CUSTOM.items()},
    **{f"version: {name}": ("opset-unsupported", build) for name, build in VERSIONS.items()},
    **{f"invalid: {name}": ("model-invalid", build) for name, build in INVALID.items()},
    **{f"contract: {name}": ("contract-mismatch", build) for name, build in CONTRACT.items()},
    "many nodes": (
        "too-large",
        lambda: with_nodes(*(make("Identity", ["image"], [f"o{i}"]) for i in range(20_001))),
    ),
    "many tensors": (
        "too-large",
        lambda: with_nodes(
            *(make("Split", ["image"], [f"o{i}.{j}" for j in range(600)]) for i in range(100))
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_hostile_graph_is_refused_although_it_is_signed(
    case: str, tmp_path: Path, forge: Forge, refused: Refused
) -> None:
    reason, build = CASES[case]
    files = {**good_files(), "model.onnx": build()}
    folder = write_files(tmp_path / "bundle", {**files, "model.sig": forge.sign_files(files)})
    refused(lambda: admit_bundle(folder, forge.signers), reason, "model.onnx")
