"""S3: what a condition is worth. Every clause is a pass of its own over the tree, so that none hides behind another.

Nothing here knows where a condition stands or what follows from it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from edgeguard.desk.reference.rows import Truth
from edgeguard.policy.expr import tree

Values = Mapping[str, float | None]
"""Every declared signal's value; None: at fault (S2.5)."""


def truth(node: tree.Node, values: Values, thresholds: Mapping[str, float]) -> Truth:
    """S3.2 to S3.6: what the condition is worth on these values."""
    if any(values[name] is None for name in mentioned(node)):  # S3.3
        return Truth.FAULT
    if not all(_finite(part, values, thresholds) for part in tree.walk(node)):  # S3.4
        return Truth.FAULT
    return Truth.TRUE if _value(node, values, thresholds) else Truth.FALSE


def mentioned(node: tree.Node) -> tuple[str, ...]:
    """S3.3: every signal that stands in the tree, wherever it stands."""
    found: dict[str, None] = {}
    for part in tree.walk(node):
        if isinstance(part, (tree.Name, tree.Flag)):
            found[part.name] = None
        elif isinstance(part, tree.Label):
            found[part.signal] = None
    return tuple(found)


def _finite(part: tree.Node, values: Values, thresholds: Mapping[str, float]) -> bool:
    """S3.4, S3.5: only sums, differences, products and quotients can fail."""
    return not isinstance(part, tree.Arithmetic) or math.isfinite(_value(part, values, thresholds))


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
