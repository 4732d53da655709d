"""What an ONNX file is, in figures: for people, and to compare. Nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edge:
    """An input or output of a graph. `shape`: a number, the name of an open axis, or None for an open one without."""

    name: str
    dtype: str
    """Such as `float32`; empty where the graph does not say."""
    shape: tuple[int | str | None, ...] | None
    """None: the graph does not say."""


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """An ONNX model in figures."""

    ir_version: int
    opsets: Mapping[str, int]
    """Version by domain; the standard operators' domain is empty."""
    operators: Mapping[str, int]
    """How often each operator is used, as `Name` or `domain::Name`, subgraphs and functions included; by name."""
    custom_domains: tuple[str, ...]
    """Domains of operators, other than the standard one, that the file does not define itself."""
    functions: tuple[str, ...]
    """Operators that the file defines itself, as `domain::Name`."""
    nodes: int
    tensors: int
    """Stored and computed ones."""
    weight_bytes: int
    memory: int | None
    """Bytes of all tensors that are computed for one picture; None where the shapes are not known, see `why_open`."""
    why_open: str
    """Why `memory` is not known, in words; empty where it is."""
    inputs: tuple[Edge, ...]
    """Without those that the file gives a value."""
    outputs: tuple[Edge, ...]
    producer: str
    """What wrote the file, as it says."""
