"""Fills in named expressions, truths and labels: from the tree as written to the tree that is compiled.

The size of the result is computed before anything is built, so that names cannot make it explode.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeguard.policy.expr import tree
from edgeguard.policy.expr.scope import Let, Scope
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind, Size

MOST_PARTS = 512
DEEPEST = 256
MOST_TOGETHER = 50_000
"""Parts of all expressions of a policy, once names are filled in."""


@dataclass(slots=True)
class Filler:
    """Fills in the expressions of one policy, and counts what they grow to together."""

    together: int = 0

    def fill(self, node: tree.Node, scope: Scope) -> Let | Problem:
        """What a checked `node` stands for; without a node when a name in it has a finding of its own.

        A problem (EG1202) when it grows too large.
        """
        used = [n.name for n in tree.walk(node) if isinstance(n, tree.Name) and n.name in scope.lets]
        if any(scope.lets[name].node is None for name in used) or self.together > MOST_TOGETHER:
            return Let()
        size = _size(node, scope)
        problem = self._too_large(node, size)
        return problem or Let(None, _filled(node, scope), size)

    def _too_large(self, node: tree.Node, size: Size) -> Problem | None:
        hint = "split it into several rules"
        if size.parts > MOST_PARTS or size.levels > DEEPEST:
            message = f"with its names filled in it has {size.parts} parts on {size.levels} levels"
            caps = f"at most {MOST_PARTS} parts and {DEEPEST} levels"
            return Problem("EG1202", message, node.at, f"{caps}: {hint}")
        self.together += size.parts
        if self.together > MOST_TOGETHER:
            message = f"with their names filled in, the expressions so far have {self.together} parts"
            return Problem("EG1202", message, node.at, f"at most {MOST_TOGETHER} in a policy")
        return None


def _size(node: tree.Node, scope: Scope) -> Size:
    """Size of `node` once it is filled in."""
    if isinstance(node, tree.Name) and node.name in scope.lets:
        return scope.lets[node.name].size
    sizes = [_size(part, scope) for part in tree.children(node)]
    return Size(1 + sum(s.parts for s in sizes), 1 + max((s.levels for s in sizes), default=0))


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
    filled = [_filled(part, scope) for part in parts]
    return node if all(a is b for a, b in zip(parts, filled)) else tree.with_parts(node, filled)
