"""Hostile graphs, each properly signed: too large, unknown, or not what the manifest says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.hostile.bundles.builders_graphs import (
    Build,
    branch,
    changed,
    doublings,
    function_of,
    laughs,
    make,
    one,
    reals,
    sparse_zeros,
    whole,
    with_nodes,
)

GB = 10**9
TOO_MUCH = "too-much-memory"


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
    "sparse": changed(lambda m: m.graph.sparse_initializer.append(sparse_zeros(100_000, 100_000))),
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
    "text": lambda: with_nodes(
        make(
            "ConstantOfShape",
            ["s"],
            ["o"],
            value=TensorProto(data_type=TensorProto.STRING, dims=[1], string_data=[b"x" * 999]),
        ),
        tensors=[whole("s", 10**6)],
    ),
    "text that is repeated": lambda: with_nodes(
        make("Constant", [], ["t"], value_string="x" * 999),
        make("Expand", ["t", "s"], ["o"]),
        tensors=[whole("s", 10**6)],
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


def _with_default_graph() -> Any:
    """A function with a default that is a graph."""
    body = branch("b", make("NonZero", ["c"], ["d"]), output="d")
    function = function_of(make("Relu", ["x"], ["y"]))
    function.attribute_proto.append(helper.make_attribute("body", body))
    return function


def _overloaded() -> bytes:
    """A call of a function that is not there: only one of that name is."""
    call = make("F", ["image"], ["o"], domain="local")
    call.overload = "other"
    shape = helper.make_tensor_value_info("o", TensorProto.FLOAT, ["N", 1])
    function = function_of(make("Relu", ["x"], ["y"]))
    return with_nodes(
        call, domains=["local"], functions=[function], change=lambda m: m.graph.value_info.append(shape)
    )


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
    "in a default of a function": lambda: with_nodes(domains=["local"], functions=[_with_default_graph()]),
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
    "another function of that name": _overloaded,
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
    "none": changed(lambda m: m.opset_import.pop()),
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


CASES: dict[str, tuple[str, Build]] = {
    **{f"memory: {name}": (TOO_MUCH, build) for name, build in MEMORY.items()},
    **{f"unknown: {name}": ("operator-unknown", build) for name, build in UNKNOWN.items()},
    **{f"custom: {name}": ("custom-operator", build) for name, build in CUSTOM.items()},
    **{f"version: {name}": ("opset-unsupported", build) for name, build in VERSIONS.items()},
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
    case: str, refused_model: Callable[[bytes, str], None]
) -> None:
    reason, build = CASES[case]
    refused_model(build(), reason)
