"""A trial's step and an expression's parts in words, for reports. Pure text; decides nothing."""

from __future__ import annotations

from edgeguard.desk.trial import Seen
from edgeguard.explain import explain
from edgeguard.policy.diagnostics import Place
from edgeguard.policy.document import PolicyDocument
from edgeguard.policy.expr import tree
from edgeguard.policy.source import Path
from edgeguard.types import Verdict

_LEVELS = {"||": 1, "&&": 2, "+": 4, "-": 4, "*": 5, "/": 5}
_COMPARISON, _PREFIX, _ATOM = 3, 6, 7


def verdict_of(seen: Seen, number: int = 1) -> Verdict:
    """The verdict that a guard would have given for this step."""
    return Verdict(
        number=number,
        frame=None,
        at=seen.now,
        mode=seen.mode,
        authority=seen.authority,
        gate=seen.gate,
        command=seen.command,
        causes=seen.causes,
        readings=seen.readings,
        takeover_deadline=seen.deadline,
        notices=seen.notices,
    )


def in_words(seen: Seen, *, policy: str = "", start: float = 0.0) -> str:
    """Who acts in this step, and why. Times count from `start` (s)."""
    return explain(verdict_of(seen), policy=policy, start=start)


def place(document: PolicyDocument, path: Path, node: tree.Node) -> Place:
    """Where a part of the expression at `path` stands; of what is not written as an expression, the key."""
    if path[-1] == "agree":
        return document.source.key(path)
    return document.source.inside(path, node.at)


def expression(node: tree.Node) -> str:
    """The text of a tree, named expressions written out, with no more parentheses than needed."""
    if isinstance(node, tree.Number):
        return f"{node.value:g}" if float(f"{node.value:g}") == node.value else repr(node.value)
    if isinstance(node, tree.Bool):
        return "true" if node.value else "false"
    if isinstance(node, (tree.Name, tree.Flag)):
        return node.name
    if isinstance(node, tree.Member):
        return f"{node.base}.{node.name}"
    if isinstance(node, tree.Label):
        return f"{node.signal}.{node.label}"
    return _inner(node)


def _inner(node: tree.Inner) -> str:
    level = _level(node)
    if isinstance(node, tree.Unary):
        return f"{node.op}{_within(node.operand, level)}"
    if isinstance(node, tree.Conditional):
        test, then, otherwise = (_within(part, 1) for part in tree.children(node))
        return f"{test} ? {then} : {otherwise}"
    if isinstance(node, tree.Within):
        items = ", ".join(f"{item:g}" for item in node.items)
        return f"{_within(node.operand, level + 1)} in [{items}]"
    # all of them group to the left; comparisons do not chain at all
    left = level + 1 if isinstance(node, tree.Compare) else level
    return f"{_within(node.left, left)} {node.op} {_within(node.right, level + 1)}"


def _within(node: tree.Node, level: int) -> str:
    """The text of a part that must bind at least as tightly as `level`."""
    text = expression(node)
    return text if _level(node) >= level else f"({text})"


def _level(node: tree.Node) -> int:
    if isinstance(node, (tree.Logic, tree.Arithmetic)):
        return _LEVELS[node.op]
    if isinstance(node, (tree.Compare, tree.Within)):
        return _COMPARISON
    if isinstance(node, tree.Unary):
        return _PREFIX
    return 0 if isinstance(node, tree.Conditional) else _ATOM
