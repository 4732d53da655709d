"""One use of an operator while shapes are worked out: what it is given, and how a rule asks for it.

A rule never sees values that are not known, and may only raise the errors below.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import NoReturn

from edgeguard.admission.graph.values import (
    DOUBLE,
    FLOAT,
    MAX_KNOWN,
    RANGES,
    Attribute,
    Dims,
    Graph,
    Known,
    Node,
    Number,
    Tensor,
    product,
)


class ShapeError(Exception):
    """A shape that cannot be worked out. `placed`: the message says where."""

    def __init__(self, message: str, *, placed: bool = False) -> None:
        super().__init__(message)
        self.placed = placed


class MisfitError(ShapeError):
    """The inputs do not fit the operator: no runtime could run it."""


class OpenError(ShapeError):
    """A size cannot be known without running the model."""


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor at one place of the graph. `known`: its values, where they are few and do not depend on the picture."""

    dtype: int
    dims: Dims
    known: Known | None = None

    def with_known(self, known: Known | None) -> Value:
        """The same tensor with values, as a runtime would hold them; dropped where that is not certain."""
        if known is None or len(known) > MAX_KNOWN or len(known) != product(self.dims):
            return Value(self.dtype, self.dims)
        return Value(self.dtype, self.dims, stored(known, self.dtype))


def stored(known: Known, dtype: int) -> Known | None:
    """Values rounded as their type rounds. None: one does not fit, and what a runtime makes of it is its own affair."""
    if dtype in (FLOAT, DOUBLE):
        try:
            kept = struct.unpack(f"<{len(known)}f", struct.pack(f"<{len(known)}f", *known))
        except OverflowError:
            return None
        kept = kept if dtype == FLOAT else tuple(map(float, known))
        return kept if all(map(math.isfinite, kept)) else None
    limits = RANGES.get(dtype)
    if limits is None or not all(isinstance(v, int) and limits[0] <= v <= limits[1] for v in known):
        return None
    return known


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its inputs. `opset`: version of the standard operators."""

    node: Node
    inputs: tuple[Value | None, ...]
    attributes: dict[str, Attribute]
    opset: int

    def misfit(self, message: str) -> NoReturn:
        """Say that the inputs do not fit."""
        raise MisfitError(message)

    def has(self, index: int) -> bool:
        """Whether there is such an input."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def given(self, index: int) -> Value:
        """An input that must be there."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            self.misfit(f"its input {index} is missing")
        return value

    def all_given(self) -> tuple[Value, ...]:
        """All inputs, at least one, none left out."""
        if not self.inputs:
            self.misfit("it has no input")
        return tuple(self.given(i) for i in range(len(self.inputs)))

    def dims(self, index: int = 0, rank: int | None = None, *, least: int = 0) -> Dims:
        """Shape of an input, perhaps of just this rank, or of at least one."""
        dims = self.given(index).dims
        if (rank is not None and len(dims) != rank) or len(dims) < least:
            self.misfit(f"its input {index} has {len(dims)} axes")
        return dims

    def known(self, index: int) -> Known:
        """Values of an input that decides a shape.

        Raises:
            OpenError: they depend on the picture, or are too many.
        """
        known = self.given(index).known
        if known is None:
            raise OpenError(f"its input {index} decides a size and is worked out while the model runs")
        return known

    def whole(self, index: int) -> tuple[int, ...]:
        """As `known`, whole numbers."""
        known = self.known(index)
        if not all(isinstance(value, int) for value in known):
            self.misfit(f"its input {index} must hold whole numbers")
        return tuple(int(value) for value in known)

    def number(self, name: str, default: int) -> int:
        """A whole number among the attributes."""
        value = self.attributes[name].value if name in self.attributes else default
        return value if isinstance(value, int) else self.misfit(f"`{name}` is no whole number")

    def numbers(self, name: str) -> tuple[int, ...] | None:
        """A list of whole numbers among the attributes, None where it is missing."""
        if name not in self.attributes:
            return None
        value = self.attributes[name].value
        if not isinstance(value, tuple) or not all(isinstance(item, int) for item in value):
            self.misfit(f"`{name}` is no list of whole numbers")
        return value

    def reals(self, name: str) -> tuple[Number, ...] | None:
        """A list of numbers among the attributes, None where it is missing."""
        if name not in self.attributes:
            return None
        value = self.attributes[name].value
        if not isinstance(value, tuple) or not all(isinstance(item, (int, float)) for item in value):
            self.misfit(f"`{name}` is no list of numbers")
        return value

    def text(self, name: str, default: str) -> str:
        """A text among the attributes."""
        value = self.attributes[name].value if name in self.attributes else default.encode()
        return (
            value.decode("ascii", "replace")
            if isinstance(value, bytes)
            else self.misfit(f"`{name}` is no text")
        )

    def tensor(self, name: str) -> Tensor | None:
        """A tensor among the attributes, None where it is missing."""
        value = self.attributes[name].value if name in self.attributes else None
        return value if isinstance(value, Tensor) or value is None else self.misfit(f"`{name}` is no tensor")

    def graph(self, name: str) -> Graph:
        """A subgraph among the attributes."""
        value = self.attributes[name].value if name in self.attributes else None
        return value if isinstance(value, Graph) else self.misfit(f"it has no `{name}`")

    def axis(self, value: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= value < rank:
            self.misfit(f"it has no axis {value} among {rank}")
        return value % rank

    def axes(self, values: tuple[int, ...], rank: int) -> tuple[int, ...]:
        """Axes counted from the front, each once."""
        found = tuple(self.axis(value, rank) for value in values)
        if len(set(found)) != len(found):
            self.misfit("it names an axis twice")
        return found

    def setting(self, name: str, index: int, since: int) -> tuple[int, ...] | None:
        """A list that is an attribute before opset `since` and the input `index` from then on. None: missing."""
        if self.opset < since:
            return self.numbers(name)
        return self.whole(index) if self.has(index) else None


def broadcast(call: Call, *shapes: Dims) -> Dims:
    """The shape that shapes have together, axes of one repeated."""
    rank = max(map(len, shapes), default=0)
    found = [1] * rank
    for shape in shapes:
        for i, size in enumerate(shape, rank - len(shape)):
            if size != 1 and found[i] not in (1, size):
                call.misfit(f"shapes {[list(s) for s in shapes]} do not go together")
            found[i] = size if size != 1 else found[i]
    return tuple(found)
