"""The parts of an ONNX file as frozen values: nodes, tensors, edges, functions. Weights are measured, never copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Number = int | float
Known = tuple[Number, ...]
Dims = tuple[int, ...]

MAX_KNOWN = 256
"""Elements up to which the values of a tensor are read or computed: shapes, scales, axes."""

BITS: Mapping[int, int] = MappingProxyType(
    {
        1: 32,
        2: 8,
        3: 8,
        4: 16,
        5: 16,
        6: 32,
        7: 64,
        9: 8,
        10: 16,
        11: 64,
        12: 32,
        13: 64,
        14: 64,
        15: 128,
        16: 16,
        17: 8,
        18: 8,
        19: 8,
        20: 8,
        21: 4,
        22: 4,
        23: 4,
    }
)
"""Bits of an element by the number of its type in onnx.proto. Text (8) has no size."""
FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE = 1, 2, 3, 6, 7, 8, 9, 10, 11
RANGES: Mapping[int, tuple[int, int]] = MappingProxyType(
    {
        **{kind: (0, (1 << BITS[kind]) - 1) for kind in (UINT8, 4, 12, 13)},
        **{kind: (-(1 << (BITS[kind] - 1)), (1 << (BITS[kind] - 1)) - 1) for kind in (INT8, 5, INT32, INT64)},
        BOOL: (0, 1),
    }
)
"""Least and largest whole number of a type."""

_NAMES = """
undefined float32 uint8 int8 uint16 int16 int32 int64 string bool float16 float64 uint32 uint64 complex64 complex128
bfloat16 float8e4m3fn float8e4m3fnuz float8e5m2 float8e5m2fnuz uint4 int4 float4e2m1
"""
NAMES: Mapping[int, str] = MappingProxyType(dict(enumerate(_NAMES.split())))
"""Names of the types by their number."""
STANDARD = ("", "ai.onnx")
"""Both spellings of the standard operators' domain."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Stored values. `known`: the values themselves where they are few and plain numbers; None otherwise."""

    name: str
    dtype: int
    dims: Dims
    size: int
    """Bytes once it is loaded."""
    known: Known | None = None
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """A named setting of a node. `kind`: number of its type in onnx.proto; `ref`: attribute of the function around."""

    name: str
    kind: int
    value: object = None
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One call of an operator."""

    domain: str
    """Empty for the standard operators."""
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]
    name: str = ""
    overload: str = ""

    @property
    def label(self) -> str:
        """The operator, with its domain where that is not the standard one."""
        return f"{self.domain}::{self.operator}" if self.domain else self.operator


@dataclass(frozen=True, slots=True)
class Declared:
    """What a file says about a value. `dims` None: nothing; a dimension: a number, a name, or None where open."""

    name: str
    dtype: int
    """0: not said, or not a tensor."""
    dims: tuple[int | str | None, ...] | None


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in their order, and what they begin and end with."""

    inputs: tuple[Declared, ...] = ()
    outputs: tuple[Declared, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    nodes: tuple[Node, ...] = ()
    declared: Mapping[str, Declared] = field(default_factory=dict)
    """`value_info` and the outputs by name."""


@dataclass(frozen=True, slots=True)
class Function:
    """An operator that the file defines by others."""

    domain: str
    name: str
    overload: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: Mapping[str, Attribute]
    nodes: tuple[Node, ...]
    opsets: Mapping[str, int]

    @property
    def label(self) -> str:
        """As `Node.label`."""
        return f"{self.domain}::{self.name}"


@dataclass(frozen=True, slots=True)
class Model:
    """A whole file."""

    ir_version: int
    opsets: Mapping[str, int]
    graph: Graph
    functions: Mapping[tuple[str, str, str], Function]
    """By domain, name and overload."""
    producer: str
    tensors: int
    """Stored in all graphs and attributes."""
    weight_bytes: int


def standard(domain: str) -> str:
    """A domain under its one name."""
    return "" if domain in STANDARD else domain


def product(dims: Dims) -> int:
    """How many elements."""
    count = 1
    for size in dims:
        count *= size
    return count


def size_of(dtype: int, dims: Dims) -> int:
    """Bytes of a tensor."""
    return (product(dims) * BITS.get(dtype, 64) + 7) // 8
