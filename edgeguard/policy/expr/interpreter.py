"""The slow reference: what an expression means, written straight from `docs/reference/policy.md`.

It shares nothing with the compiler but the tree, never short-circuits and checks every single result, so that the
two can be compared. Tests and desk tools use it; the frame path never does.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

from edgeguard.decision.table import Truth
from edgeguard.policy.expr import tree

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}

Env = Mapping[str, float | None]
"""The value of each signal by name; None when it is unhealthy. Thresholds by `calibrated.NAME`."""


def truth(node: tree.Node, env: Env) -> Truth:
    """FAULT when anything the text mentions is missing or any number in it is not finite; otherwise the condition."""
    value = _value(node, env)
    if value is None:
        return Truth.FAULT
    return Truth.TRUE if value else Truth.FALSE


def number(node: tree.Node, env: Env) -> float | None:
    """The number that `node` gives; None for a fault."""
    value = _value(node, env)
    return None if value is None else float(value)


def _value(node: tree.Node, env: Env) -> float | bool | None:
    if isinstance(node, (tree.Number, tree.Bool, tree.Label)):
        return node.value
    if isinstance(node, tree.Name):
        return _finite(env.get(node.name))
    if isinstance(node, tree.Flag):
        known = _finite(env.get(node.name))
        return None if known is None else known != 0.0
    if isinstance(node, tree.Member):
        return _finite(env.get(f"{node.base}.{node.name}"))
    parts = [_value(part, env) for part in tree.children(node)]
    values = [part for part in parts if part is not None]
    return _combine(node, values) if len(values) == len(parts) else None


def _combine(node: tree.Inner, parts: list[float | bool]) -> float | bool | None:
    if isinstance(node, tree.Unary):
        return not parts[0] if node.op == "!" else -parts[0]
    if isinstance(node, tree.Within):
        return any(parts[0] == item for item in node.items)
    if isinstance(node, tree.Conditional):
        return parts[1] if parts[0] else parts[2]
    if isinstance(node, tree.Compare):
        return _COMPARE[node.op](parts[0], parts[1])
    if isinstance(node, tree.Logic):
        return all(parts) if node.op == "&&" else any(parts)
    return _finite(_ARITHMETIC[node.op](float(parts[0]), float(parts[1])))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
