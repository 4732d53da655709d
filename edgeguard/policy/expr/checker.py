"""Does an expression make sense: are its names declared and do its kinds fit? Finds everything, changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgeguard.policy.diagnostics import suggest
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression may name: plain names with their kind, and the members of each base, all numbers."""

    names: Mapping[str, Kind]
    members: Mapping[str, frozenset[str]]
    foreign: Mapping[str, str] = field(default_factory=dict)
    """Names that mean something elsewhere, with what to say about them here."""


def check(node: tree.Node, scope: Scope, wanted: Kind = Kind.TRUTH) -> tuple[Problem, ...]:
    """Every problem of `node` in `scope` when it must give `wanted` (EG1203, EG1204, EG1205), in text order."""
    checker = _Checker(scope, [])
    checker.want(node, wanted, "the whole expression")
    return tuple(sorted(checker.found, key=lambda p: p.at))


@dataclass(slots=True)
class _Checker:
    scope: Scope
    found: list[Problem]

    def want(self, node: tree.Node, wanted: Kind, role: str) -> None:
        """Check `node` and that it gives `wanted`."""
        kind = self.kind(node)
        if kind is not None and kind is not wanted:
            hint = "compare it with something" if kind is Kind.NUMBER and wanted is Kind.TRUTH else ""
            self.add("EG1204", f"{role} must be {wanted.value}, and this is {kind.value}", node, hint)

    def add(self, code: str, message: str, node: tree.Node, hint: str = "") -> None:
        self.found.append(Problem(code, message, node.at, hint))

    def kind(self, node: tree.Node) -> Kind | None:
        """What `node` gives; None when that cannot be known, after a finding."""
        if isinstance(node, tree.Number):
            return Kind.NUMBER
        if isinstance(node, tree.Bool):
            return Kind.TRUTH
        if isinstance(node, (tree.Name, tree.Member)):
            return self.named(node)
        if isinstance(node, tree.Conditional):
            return self.conditional(node)
        if isinstance(node, tree.Compare):
            self.compare(node)
            return Kind.TRUTH
        if isinstance(node, tree.Within):
            self.want(node.operand, Kind.NUMBER, "what stands before `in`")
            return Kind.TRUTH
        wanted = Kind.TRUTH if isinstance(node, tree.Logic) or node.op == "!" else Kind.NUMBER
        for part in tree.children(node):
            self.want(part, wanted, f"what `{node.op}` takes")
        if isinstance(node, tree.Arithmetic) and node.op == "/":
            self.divisor(node.right)
        return wanted

    def named(self, node: tree.Name | tree.Member) -> Kind | None:
        if isinstance(node, tree.Member):
            return self.member(node)
        kind = self.scope.names.get(node.name)
        if kind is None:
            hint = self.scope.foreign.get(node.name) or suggest(node.name, self.scope.names)
            self.add("EG1203", f"nothing is called `{node.name}`", node, hint)
        return kind

    def member(self, node: tree.Member) -> Kind | None:
        known = self.scope.members.get(node.base)
        if known is None:
            hint = suggest(node.base, self.scope.members)
            self.add("EG1203", f"`{node.base}` has no members", node, hint)
        elif node.name not in known:
            self.add("EG1203", f"`{node.base}` has no `{node.name}`", node, suggest(node.name, known))
        else:
            return Kind.NUMBER
        return None

    def conditional(self, node: tree.Conditional) -> Kind | None:
        self.want(node.test, Kind.TRUTH, "what stands before `?`")
        then, otherwise = self.kind(node.then), self.kind(node.otherwise)
        if then is not None and otherwise is not None and then is not otherwise:
            self.add("EG1204", f"one branch is {then.value}, the other {otherwise.value}", node)
            return None
        return then or otherwise

    def compare(self, node: tree.Compare) -> None:
        left, right = self.kind(node.left), self.kind(node.right)
        if left is None or right is None:
            return
        if left is not right:
            self.add("EG1204", f"`{node.op}` compares {left.value} with {right.value}", node)
        elif left is Kind.TRUTH and node.op not in ("==", "!="):
            self.add(
                "EG1204", f"`{node.op}` cannot order true and false", node, "use `==`, `!=`, `&&` or `||`"
            )

    def divisor(self, node: tree.Node) -> None:
        if not isinstance(node, tree.Number):
            self.add(
                "EG1205", "only a number written out may divide", node, "multiply the other side instead"
            )
        elif node.value == 0.0:
            self.add("EG1205", "division by zero", node)
