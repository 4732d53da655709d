"""Fills in named expressions, truths and labels: from the tree as written to the tree that is compiled.

The size of the result is computed before anything is built, so that names cannot make it explode.
"""

from __future__ import annotations

from edgeguard.policy.expr import tree
from edgeguard.policy.expr.scope import Scope
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

MOST_PARTS = 512
DEEPEST = 256


def expand(node: tree.Node, scope: Scope) -> tree.Node | Problem | None:
    """What a checked `node` stands for. None: a name in it has a finding of its own. A problem: it grows too large."""
    used = [n for n in tree.walk(node) if isinstance(n, tree.Name) and n.name in scope.lets]
    if any(scope.lets[n.name].node is None for n in used):
        return None
    if used:
        parts, levels = _size(node, scope)
        if parts > MOST_PARTS or levels > DEEPEST:
            caps = f"{MOST_PARTS} parts and {DEEPEST} levels"
            message = f"with its names filled in it has {parts} parts on {levels} levels"
            return Problem("EG1202", message, node.at, f"at most {caps}: split it into several rules")
    return _filled(node, scope)


def _size(node: tree.Node, scope: Scope) -> tuple[int, int]:
    """Parts and levels of `node` once it is filled in."""
    if isinstance(node, tree.Name) and node.name in scope.lets:
        inner = scope.lets[node.name].node
        return size(inner) if inner is not None else (1, 1)
    sizes = [_size(part, scope) for part in tree.children(node)]
    return 1 + sum(s[0] for s in sizes), 1 + max((s[1] for s in sizes), default=0)


def size(node: tree.Node) -> tuple[int, int]:
    """How many parts a tree has, and on how many levels."""
    sizes = [size(part) for part in tree.children(node)]
    return 1 + sum(s[0] for s in sizes), 1 + max((s[1] for s in sizes), default=0)


def _filled(node: tree.Node, scope: Scope) -> tree.Node:
    if isinstance(node, tree.Name):
        let = scope.lets.get(node.name)
        if let is not None and let.node is not None:
            return tree.moved(let.node, node.at, node.end)
        bool_signal = scope.names.get(node.name) is Kind.TRUTH
        return tree.Flag(node.at, node.end, node.name) if bool_signal else node
    if isinstance(node, tree.Member) and scope.names.get(node.base) is Kind.CLASS:
        value = float(tuple(scope.members[node.base]).index(node.name))
        return tree.Label(node.at, node.end, node.base, node.name, value)
    parts = tree.children(node)
    if not parts:
        return node
    filled = [_filled(part, scope) for part in parts]
    return node if all(a is b for a, b in zip(parts, filled)) else tree.with_parts(node, filled)
