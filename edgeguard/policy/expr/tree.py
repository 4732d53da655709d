"""The typed tree of an expression, as immutable values that keep their position in the text.

The checker, the code generator, the interpreter and later the formatter, prover and C emitter all walk this tree.
Nothing here evaluates. `at` and `end` are offsets (characters) into the expression's text, half open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What an expression gives."""

    NUMBER = "a number"
    TRUTH = "true or false"
    AUTHORITY = "an authority"
    CLASS = "a class"


@dataclass(frozen=True, slots=True)
class Number:
    """A literal. Always finite."""

    at: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Bool:
    """`true` or `false`."""

    at: int
    end: int
    value: bool


@dataclass(frozen=True, slots=True)
class Name:
    """A signal, or in an invariant a word of the guard's own."""

    at: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`calibrated.NAME`, or in an invariant `command.NAME`."""

    at: int
    end: int
    base: str
    name: str


@dataclass(frozen=True, slots=True)
class Flag:
    """A signal of type `bool`, read as a truth."""

    at: int
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Label:
    """`SIGNAL.LABEL`: one label of a signal of type `class`, as the number that stands for it."""

    at: int
    end: int
    signal: str
    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `!x`."""

    at: int
    end: int
    op: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /`."""

    at: int
    end: int
    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Compare:
    """`< <= > >= == !=`."""

    at: int
    end: int
    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logic:
    """`&&` or `||`."""

    at: int
    end: int
    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Within:
    """`x in [1, 2]`: the items are literals."""

    at: int
    end: int
    operand: Node
    items: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    """`test ? then : otherwise`."""

    at: int
    end: int
    test: Node
    then: Node
    otherwise: Node


Inner = Unary | Arithmetic | Compare | Logic | Within | Conditional
Node = Number | Bool | Name | Flag | Member | Label | Inner


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node, from left to right."""
    if isinstance(node, (Arithmetic, Compare, Logic)):
        return (node.left, node.right)
    if isinstance(node, (Unary, Within)):
        return (node.operand,)
    if isinstance(node, Conditional):
        return (node.test, node.then, node.otherwise)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything in it, from left to right, without recursion."""
    waiting = [node]
    while waiting:
        top = waiting.pop()
        yield top
        waiting.extend(reversed(children(top)))


def names(node: Node) -> tuple[str, ...]:
    """Every plain name (of a signal, as a rule) the text mentions, each once, in order of appearance."""
    return tuple(dict.fromkeys(n.name for n in walk(node) if isinstance(n, (Name, Flag))))


def calibrated(node: Node) -> tuple[Member, ...]:
    """Every mention of a calibrated threshold, from left to right."""
    return tuple(n for n in walk(node) if isinstance(n, Member) and n.base == "calibrated")


def thresholds(node: Node) -> tuple[str, ...]:
    """The name of every calibrated threshold the text mentions, each once, in order of appearance."""
    return tuple(dict.fromkeys(n.name for n in calibrated(node)))


def skeleton(node: Node) -> tuple[object, ...]:
    """What a tree says, wherever it stands: equal for equal trees, and hashable."""
    positions = ("at", "end")
    return tuple(
        (type(n), *(getattr(n, s) for s in n.__slots__ if s not in positions and not _is_node(getattr(n, s))))
        for n in walk(node)
    )


class Size(NamedTuple):
    """How many parts a tree has, and on how many levels."""

    parts: int
    levels: int


SINGLE = Size(1, 1)
"""Of a tree without parts."""


def moved(node: Node, at: int, end: int) -> Node:
    """The same tree with every position in it replaced by one: where a named expression is used."""
    return _copy(node, [moved(part, at, end) for part in children(node)], at, end)


def shifted(node: Node, by: int) -> Node:
    """The same tree, `by` characters further on."""
    return _copy(node, [shifted(part, by) for part in children(node)], node.at + by, node.end + by)


def with_parts(node: Node, parts: Sequence[Node]) -> Node:
    """`node` with other direct parts, in the order of `children`."""
    return _copy(node, parts, node.at, node.end)


def _copy(node: Node, parts: Sequence[Node], at: int, end: int) -> Node:
    """`node` with other parts, elsewhere."""
    if isinstance(node, (Arithmetic, Compare, Logic)):
        return type(node)(at, end, node.op, parts[0], parts[1])
    if isinstance(node, Unary):
        return Unary(at, end, node.op, parts[0])
    if isinstance(node, Within):
        return Within(at, end, parts[0], node.items)
    if isinstance(node, Conditional):
        return Conditional(at, end, parts[0], parts[1], parts[2])
    return replace(node, at=at, end=end)


def _is_node(value: object) -> bool:
    return isinstance(
        value,
        (Number, Bool, Name, Flag, Member, Label, Unary, Arithmetic, Compare, Logic, Within, Conditional),
    )
