"""Canonical text of an expression's tree: the one way to write it. Pure; parsing it gives the same tree again.

Spaces around operators, and parentheses where the tree needs them or where `&&` stands inside `||`.
"""

from __future__ import annotations

import math

from edgeguard.policy.expr import tree
from edgeguard.policy.expr.parser import LONGEST, parse_expression
from edgeguard.policy.expr.tokens import Problem, tokenize

_CHOICE, _OR, _AND, _COMPARISON, _SUM, _PRODUCT, _SIGN, _ATOM = range(8)
_ARITHMETIC = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT}


def unparse(node: tree.Node, text: str = "") -> str:
    """The canonical text of `node`.

    `text`: what the tree was parsed from, so that numbers keep their spelling (`0.20`); without it they are written
    as short as they can be.
    """
    if isinstance(node, tree.Number):
        return text[node.at : node.end] if text else repr(node.value)
    if isinstance(node, tree.Bool):
        return "true" if node.value else "false"
    if isinstance(node, (tree.Name, tree.Flag)):
        return node.name
    if isinstance(node, tree.Member):
        return f"{node.base}.{node.name}"
    if isinstance(node, tree.Label):
        return f"{node.signal}.{node.label}"
    return _inner(node, text)


def canonical(text: str) -> str:
    """`text`, an expression, written canonically; as it is where it is none, or too large to be written so."""
    node = parse_expression(text)
    if isinstance(node, Problem):
        return text
    written = unparse(node, text)
    return written if same_expression(text, written) and len(written) <= LONGEST else text


def same_expression(one: str, other: str) -> bool:
    """Whether two texts are the same expression: equal trees, or, where they are none, equal texts."""
    if one == other:
        return True
    trees = parse_expression(one), parse_expression(other)
    if isinstance(trees[0], Problem) or isinstance(trees[1], Problem):
        return False
    return tree.skeleton(trees[0]) == tree.skeleton(trees[1])


def _inner(node: tree.Inner, text: str) -> str:
    if isinstance(node, tree.Unary):
        twice = node.op == "-" and isinstance(node.operand, tree.Unary) and node.operand.op == "-"
        return node.op + _part(node.operand, _ATOM if twice else _SIGN, text)
    if isinstance(node, tree.Within):
        return f"{_part(node.operand, _SUM, text)} in [{', '.join(_items(node, text))}]"
    if isinstance(node, tree.Conditional):
        test, then = _part(node.test, _OR, text), _part(node.then, _OR, text)
        return f"{test} ? {then} : {_part(node.otherwise, _CHOICE, text)}"
    level = _level(node)
    if isinstance(node, tree.Compare):
        return f"{_part(node.left, _SUM, text)} {node.op} {_part(node.right, _SUM, text)}"
    if level == _OR:
        left = node.left
        mixed = isinstance(left, tree.Logic) and left.op == "&&"
        return f"{_part(left, _ATOM if mixed else _OR, text)} || {_part(node.right, _COMPARISON, text)}"
    return f"{_part(node.left, level, text)} {node.op} {_part(node.right, level + 1, text)}"


def _part(node: tree.Node, least: int, text: str) -> str:
    """`node` as an operand where only what binds at least as tightly as `least` may stand without parentheses."""
    inner = unparse(node, text)
    return inner if _level(node) >= least else f"({inner})"


def _level(node: tree.Node) -> int:
    if isinstance(node, tree.Conditional):
        return _CHOICE
    if isinstance(node, tree.Logic):
        return _OR if node.op == "||" else _AND
    if isinstance(node, (tree.Compare, tree.Within)):
        return _COMPARISON
    if isinstance(node, tree.Arithmetic):
        return _ARITHMETIC[node.op]
    negative = isinstance(node, tree.Number) and math.copysign(1.0, node.value) < 0
    return _SIGN if negative or isinstance(node, tree.Unary) else _ATOM


def _items(node: tree.Within, text: str) -> list[str]:
    """The numbers of a list; the tree keeps no position of each, so their spelling is found in the text."""
    tokens = tokenize(text) if text else ()
    found = () if isinstance(tokens, Problem) else tokens
    spelled = [t.text for t in found if t.kind == "number" and node.operand.end <= t.at < node.end]
    if not spelled:
        return [repr(item) for item in node.items]
    signs = ("-" if math.copysign(1.0, item) < 0 else "" for item in node.items)
    return [sign + number for sign, number in zip(signs, spelled, strict=True)]
