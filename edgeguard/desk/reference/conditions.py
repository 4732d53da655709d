"""S3: what a condition is worth. Every clause is a pass of its own over the tree, so that none hides behind another.

Nothing here knows where a condition stands or what follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from edgeguard.policy.expr import tree

Values = Mapping[str, float | None]
"""Every declared signal's value; None: at fault (S2.5)."""


class Truth(str, Enum):
    """S3.2: the three truths."""

    TRUE = "true"
    FALSE = "false"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Condition:
    """A tree, and what S3.3 and S3.4 ask of it."""

    node: tree.Node
    mentions: tuple[str, ...]
    """Every signal that stands in the tree, wherever it stands, each once."""
    sums: tuple[tree.Arithmetic, ...]
    """Every sum, difference, product and quotient in the tree: nothing else can fail (S3.5)."""


def condition(node: tree.Node) -> Condition:
    """S3.3, S3.4: what can make the condition a fault."""
    parts = tuple(tree.walk(node))
    named = [part.name for part in parts if isinstance(part, (tree.Name, tree.Flag))]
    named += [part.signal for part in parts if isinstance(part, tree.Label)]
    return Condition(
        node, tuple(dict.fromkeys(named)), tuple(p for p in parts if isinstance(p, tree.Arithmetic))
    )


def truth(condition: Condition, values: Values, thresholds: Mapping[str, float]) -> Truth:
    """S3.2 to S3.6: what the condition is worth on these values."""
    if any(values[name] is None for name in condition.mentions):  # S3.3
        return Truth.FAULT
    if not all(math.isfinite(_value(part, values, thresholds)) for part in condition.sums):  # S3.4
        return Truth.FAULT
    return Truth.TRUE if _value(condition.node, values, thresholds) else Truth.FALSE


def _value(node: tree.Node, values: Values, thresholds: Mapping[str, float]) -> float | bool:
    """S3.6: the usual meaning, once nothing in the tree is a fault."""
    if isinstance(node, (tree.Number, tree.Bool, tree.Label)):
        return node.value
    if isinstance(node, tree.Name):
        return _known(values[node.name])
    if isinstance(node, tree.Flag):
        return _known(values[node.name]) == 1.0
    if isinstance(node, tree.Member):
        return thresholds[node.name]
    if isinstance(node, tree.Conditional):
        chosen = node.then if _value(node.test, values, thresholds) else node.otherwise
        return _value(chosen, values, thresholds)
    if isinstance(node, tree.Within):
        operand = _value(node.operand, values, thresholds)
        return any(operand == item for item in node.items)
    if isinstance(node, tree.Unary):
        operand = _value(node.operand, values, thresholds)
        return -operand if node.op == "-" else not operand
    return _two(node.op, (_value(node.left, values, thresholds), _value(node.right, values, thresholds)))


def _two(op: str, operands: tuple[float | bool, float | bool]) -> float | bool:
    """S3.6, the rows with two operands."""
    left, right = operands
    if op in ("&&", "||"):
        return (left and right) if op == "&&" else (left or right)
    if op in ("==", "!="):
        return (left == right) if op == "==" else (left != right)
    if op in ("<", "<="):
        return (left < right) if op == "<" else (left <= right)
    if op in (">", ">="):
        return (left > right) if op == ">" else (left >= right)
    if op in ("+", "-"):
        return (left + right) if op == "+" else (left - right)
    return (left * right) if op == "*" else (left / right)


def _known(value: float | None) -> float:
    return math.nan if value is None else value
