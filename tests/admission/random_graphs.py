"""Grows random graphs from one picture; what does not fit is left out by the runtime that is asked, not here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.admission.graphs import all_shown

SHAPE = (2, 3, 5, 6)


class Grower:
    """A graph of standard operators on the picture `x`."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.ranks = {"x": len(SHAPE)}

    def grow(self) -> None:
        """Add a node or a few."""
        name = self.draw(st.sampled_from(sorted(name for name, rank in self.ranks.items() if rank)))
        rank = self.ranks[name]
        self.draw(st.sampled_from(STEPS))(self, name, rank, self.number(-rank, rank - 1))

    def number(self, low: int, high: int) -> int:
        return int(self.draw(st.integers(low, high)))

    def numbers(self, count: int, low: int, high: int) -> list[int]:
        return [self.number(low, high) for _ in range(count)]

    def other(self) -> tuple[str, int]:
        name = self.draw(st.sampled_from(sorted(self.ranks)))
        return name, self.ranks[name]

    def stored(self, values: Any, kind: Any) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.array(values, kind), name))
        return name

    def whole(self, values: list[int]) -> str:
        return self.stored(values, np.int64)

    def weight(self, *dims: int) -> str:
        return self.stored(np.ones(dims), np.float32)

    def add(self, kind: str, inputs: list[str], rank: int, **attributes: Any) -> None:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        self.ranks[name] = rank

    def model(self, nodes: list[Any]) -> bytes:
        """These nodes as a model that gives every value."""
        graph = helper.make_graph(
            nodes,
            "random",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(SHAPE))],
            [],
            self.tensors,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        return all_shown(made.SerializeToString())


def _relu(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Relu", [name], rank)


def _add(g: Grower, name: str, rank: int, axis: int) -> None:
    other, other_rank = g.other()
    g.add(g.draw(st.sampled_from(["Add", "MatMul", "Max"])), [name, other], max(rank, other_rank))


def _concat(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Concat", [name, name, g.other()[0]], rank, axis=axis)


def _transpose(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Transpose", [name], rank, perm=g.draw(st.permutations(range(rank))))


def _reshape(g: Grower, name: str, rank: int, axis: int) -> None:
    sizes = g.numbers(g.number(1, 4), -1, 6)
    g.add("Reshape", [name, g.whole(sizes)], len(sizes))


def _slice(g: Grower, name: str, rank: int, axis: int) -> None:
    cut = [g.whole([g.number(-7, 7)]), g.whole([g.number(-(2**31), 9)]), g.whole([axis])]
    g.add("Slice", [name, *cut, g.whole([g.number(-3, 3)])], rank)


def _gather(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Gather", [name, g.whole(g.numbers(g.number(1, 3), 0, 1))], rank, axis=axis)


def _unsqueeze(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Unsqueeze", [name, g.whole([g.number(-rank - 1, rank)])], rank + 1)


def _reduce(g: Grower, name: str, rank: int, axis: int) -> None:
    keep = g.number(0, 1)
    g.add("ReduceMean", [name, g.whole([axis])], rank if keep else rank - 1, keepdims=keep)


def _pool(g: Grower, name: str, rank: int, axis: int) -> None:
    kernel, pads = g.numbers(2, 1, 4), g.numbers(4, 0, 2)
    how = {"kernel_shape": kernel, "pads": pads, "strides": g.numbers(2, 1, 3), "ceil_mode": g.number(0, 1)}
    g.add(g.draw(st.sampled_from(["MaxPool", "AveragePool"])), [name], rank, **how)


def _conv(g: Grower, name: str, rank: int, axis: int) -> None:
    auto = g.draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    how = {"auto_pad": auto, "strides": g.numbers(2, 1, 3)}
    how |= {"pads": g.numbers(4, 0, 2), "dilations": g.numbers(2, 1, 2)} if auto == "NOTSET" else {}
    g.add("Conv", [name, g.weight(2, 3, *g.numbers(2, 1, 3))], rank, **how)


def _conv_back(g: Grower, name: str, rank: int, axis: int) -> None:
    how = {"strides": g.numbers(2, 1, 3), "pads": g.numbers(4, 0, 1), "dilations": g.numbers(2, 1, 2)}
    g.add("ConvTranspose", [name, g.weight(3, 2, *g.numbers(2, 1, 3))], rank, **how)


def _pad(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Pad", [name, g.whole(g.numbers(2 * rank, -1, 3))], rank)


def _expand(g: Grower, name: str, rank: int, axis: int) -> None:
    sizes = g.numbers(g.number(1, 4), 1, 3)
    g.add("Expand", [name, g.whole(sizes)], max(rank, len(sizes)))


def _tile(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Tile", [name, g.whole(g.numbers(rank, 1, 2))], rank)


def _resize(g: Grower, name: str, rank: int, axis: int) -> None:
    if g.number(0, 1):
        g.add("Resize", [name, "", "", g.whole(g.numbers(rank, 1, 9))], rank, mode="nearest")
    else:
        factors = [g.draw(st.floats(0.25, 4, width=32)) for _ in range(rank)]
        g.add("Resize", [name, "", g.stored(factors, np.float32)], rank, mode="nearest")


def _flatten(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("Flatten", [name], 2, axis=g.number(-rank, rank))


def _top(g: Grower, name: str, rank: int, axis: int) -> None:
    g.add("TopK", [name, g.whole([g.number(1, 4)])], rank, axis=axis)


def _split(g: Grower, name: str, rank: int, axis: int) -> None:
    first = f"v{len(g.nodes)}"
    g.nodes.append(helper.make_node("Split", [name], [first, f"{first}b"], axis=axis, num_outputs=2))
    g.ranks |= {first: rank, f"{first}b": rank}


def _by_size(g: Grower, name: str, rank: int, axis: int) -> None:
    """Work out a shape inside the graph, as exporters do, and fill it."""
    shape, side, worked, small = (f"v{len(g.nodes)}.{i}" for i in range(4))
    kind = g.draw(st.sampled_from(["Add", "Sub", "Mul", "Div", "Mod", "Max"]))
    g.nodes += [
        helper.make_node("Shape", [name], [shape]),
        helper.make_node("Gather", [shape, g.whole([axis])], [side]),
        helper.make_node(kind, [side, g.whole([2])], [worked]),
        helper.make_node("Min", [worked, g.whole([9])], [small]),
    ]
    g.add("ConstantOfShape", [small], 1)


STEPS: tuple[Callable[[Grower, str, int, int], None], ...] = (
    *(_relu, _add, _concat, _transpose, _reshape, _slice, _gather, _unsqueeze, _reduce, _pool, _conv),
    *(_conv_back, _pad, _expand, _tile, _resize, _flatten, _top, _split, _by_size),
)
