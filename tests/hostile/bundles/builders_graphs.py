"""Builders of ONNX graphs that are valid, small as files, and not what they should be. For tests only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.bundles.builders import good_model

Build = Callable[[], bytes]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def whole(name: str, *values: int) -> Any:
    """Return a list of whole numbers as an initializer."""
    return numpy_helper.from_array(np.array(values, np.int64), name)


def reals(name: str, *values: float) -> Any:
    """Return a list of numbers as an initializer."""
    return numpy_helper.from_array(np.array(values, np.float32), name)


def one(name: str, value: Any, kind: Any = np.int64) -> Any:
    """Return a single number as an initializer."""
    return numpy_helper.from_array(np.array(value, kind), name)


def with_nodes(
    *nodes: Any,
    tensors: Sequence[Any] = (),
    opset: int = 18,
    functions: Sequence[Any] = (),
    domains: Sequence[str] = (),
    batch: int | str = "N",
    change: Callable[[Any], object] = lambda _: None,
) -> bytes:
    """The good classifier with more nodes in front, whose results nobody needs; `image` is (batch, 3, 4, 4)."""
    import onnx

    model = onnx.load_from_string(good_model())
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    model.graph.initializer.extend(tensors)
    model.functions.extend(functions)
    model.opset_import[0].version = opset
    model.opset_import.extend(helper.make_opsetid(domain, 1) for domain in domains)
    if isinstance(batch, int):
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = batch
    change(model)
    return bytes(model.SerializeToString())


def changed(change: Callable[[Any], object]) -> Build:
    """The good classifier, changed."""
    return lambda: with_nodes(change=change)


def function_of(*nodes: Any) -> Any:
    """A function of the file, `local::F`, from `x` to `y`."""
    return helper.make_function("local", "F", ["x"], ["y"], list(nodes), [helper.make_opsetid("", 18)])


def make(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    """Return a node."""
    return helper.make_node(kind, list(inputs), list(outputs), **attributes)


def doublings(count: int) -> bytes:
    """A chain of `Concat`, each of the one before with itself."""
    nodes = [make("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(count)]
    return with_nodes(make("Identity", ["image"], ["c0"]), *nodes)


def laughs(depth: int) -> list[Any]:
    """Functions that each call the next one ten times."""
    made = []
    for level in range(depth):
        inner = (
            [make("Relu", ["x"], ["y"])]
            if level == depth - 1
            else [make(f"F{level + 1}", ["x"], [f"y{i}" if i else "y"], domain="local") for i in range(10)]
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
        made.append(helper.make_function("local", f"F{level}", ["x"], ["y"], inner, opsets))
    return made


def branch(name: str, *nodes: Any, output: str) -> Any:
    """Return a subgraph with one output."""
    return helper.make_graph(list(nodes), name, [], [helper.make_empty_tensor_value_info(output)])


def sparse_zeros(*dims: int) -> Any:
    """Return a sparse tensor of one value that is as large as these dimensions once it is dense."""
    values = helper.make_tensor("huge", FLOAT, [1], [1.0])
    return helper.make_sparse_tensor(values, helper.make_tensor("at", INT64, [1], [0]), list(dims))
