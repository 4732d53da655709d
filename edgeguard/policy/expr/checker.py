"""Does an expression make sense: are its names declared, do its kinds and units fit? Finds everything, changes nothing.

Only for the tree as written, where a named expression has its kind and unit: filled in, a constant is a bare number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgeguard.policy.diagnostics import quote, suggest
from edgeguard.policy.dimension import ONE, Unit, shown
from edgeguard.policy.expr import tree
from edgeguard.policy.expr.scope import Scope, Type
from edgeguard.policy.expr.tokens import Problem
from edgeguard.policy.expr.tree import Kind

__all__ = ["Scope", "check", "examine"]


def check(node: tree.Node, scope: Scope, wanted: Kind = Kind.TRUTH) -> tuple[Problem, ...]:
    """Every problem of `node` in `scope` when it must give `wanted` (EG1203-EG1205, EG1207, EG1208), in text order."""
    checker = _Checker(scope, [])
    checker.want(node, wanted, "the whole expression")
    return checker.sorted()


def examine(node: tree.Node, scope: Scope) -> tuple[Type | None, tuple[Problem, ...]]:
    """What `node` gives, whatever that is (None: it cannot be known), and every problem in it."""
    checker = _Checker(scope, [])
    found = checker.type(node)
    return found, checker.sorted()


@dataclass(slots=True)
class _Checker:
    scope: Scope
    found: list[Problem]
    hints: dict[str, str] = field(default_factory=dict)

    def sorted(self) -> tuple[Problem, ...]:
        return tuple(sorted(self.found, key=lambda p: p.at))

    def add(self, code: str, message: str, node: tree.Node, hint: str = "") -> None:
        self.found.append(Problem(code, message, node.at, hint))

    def want(self, node: tree.Node, wanted: Kind, role: str) -> Type | None:
        """Check `node` and that it gives `wanted`; its type only if so."""
        found = self.type(node)
        if found is None or found.kind is wanted:
            return found
        hint = "compare it with something" if wanted is Kind.TRUTH else ""
        if found.kind is Kind.CLASS:
            hint = "compare it with one of its labels, by `==` or `!=`"
        self.add("EG1204", f"{role} must be {wanted.value}, and this is {found.kind.value}", node, hint)
        return None

    def type(self, node: tree.Node) -> Type | None:
        """What `node` gives; None when that cannot be known, after a finding."""
        if isinstance(node, tree.Number):
            return Type(Kind.NUMBER)
        if isinstance(node, tree.Name):
            return self.name(node)
        if isinstance(node, tree.Member):
            return self.member(node)
        if isinstance(node, tree.Conditional):
            return self.conditional(node)
        if isinstance(node, tree.Arithmetic):
            return self.arithmetic(node)
        if isinstance(node, tree.Unary) and node.op == "-":
            return self.want(node.operand, Kind.NUMBER, "what `-` takes")
        self.truth(node)
        return Type(Kind.TRUTH)

    def truth(self, node: tree.Node) -> None:
        """Check what gives true or false, whatever is in it."""
        if isinstance(node, tree.Compare):
            self.compare(node)
        elif isinstance(node, tree.Within):
            self.want(node.operand, Kind.NUMBER, "what stands before `in`")
        elif isinstance(node, (tree.Logic, tree.Unary)):
            for part in tree.children(node):
                self.want(part, Kind.TRUTH, f"what `{node.op}` takes")

    def name(self, node: tree.Name) -> Type | None:
        if node.name in self.scope.names:
            return self.scope.named(node.name)
        if node.name in self.scope.lets:
            return self.scope.lets[node.name].type
        if node.name in self.scope.later:
            message = f"{quote(node.name)} is not defined yet"
            self.add("EG1208", message, node, "a name may use only those that stand above it")
            return None
        hint = self.scope.foreign.get(node.name) or self.hint(node.name)
        self.add("EG1203", f"nothing is called `{node.name}`", node, hint)
        return None

    def hint(self, name: str) -> str:
        """What an unknown name may be meant for; looked up once in an expression."""
        if name not in self.hints:
            self.hints[name] = suggest(name, self.scope.known())
        return self.hints[name]

    def member(self, node: tree.Member) -> Type | None:
        base, name = node.base, node.name
        known = self.scope.members.get(base)
        if known is None:
            hint = self.scope.foreign.get(base) or suggest(base, self.scope.members)
            self.add("EG1203", f"`{base}` has no members", node, hint)
        elif name not in known:
            self.add("EG1203", f"`{base}` has no `{name}`", node, suggest(name, known))
        else:
            return self.scope.member(base, name)
        return None

    def conditional(self, node: tree.Conditional) -> Type | None:
        self.want(node.test, Kind.TRUTH, "what stands before `?`")
        then, otherwise = self.type(node.then), self.type(node.otherwise)
        if then is None or otherwise is None:
            return None
        if then.kind is not otherwise.kind:
            message = f"one branch is {then.kind.value}, the other {otherwise.kind.value}"
            self.add("EG1204", message, node)
            return None
        if then.owner != otherwise.owner:
            self.add("EG1204", f"one branch is of `{then.owner}`, the other of `{otherwise.owner}`", node)
            return None
        label = then.label and otherwise.label
        return then._replace(unit=self.same(then, otherwise, "`?:` gives", "or", node), label=label)

    def compare(self, node: tree.Compare) -> None:
        left, right = self.type(node.left), self.type(node.right)
        if left is None or right is None:
            return
        if left.kind is not right.kind:
            self.add("EG1204", f"`{node.op}` compares {left.kind.value} with {right.kind.value}", node)
        elif left.kind is Kind.CLASS:
            self.classes(node, left, right)
        elif left.kind is Kind.TRUTH and node.op not in ("==", "!="):
            hint = "use `==`, `!=`, `&&` or `||`"
            self.add("EG1204", f"`{node.op}` cannot order true and false", node, hint)
        else:
            self.same(left, right, f"`{node.op}` compares", "with", node)

    def classes(self, node: tree.Compare, left: Type, right: Type) -> None:
        """A class signal against one of its own labels: every other class is one number, so two signals that have it
        need not agree."""
        if node.op not in ("==", "!="):
            self.add("EG1204", f"`{node.op}` cannot order classes", node, "use `==` or `!=`")
        elif left.label is right.label:
            what = "two labels" if left.label else "two signals"
            hint = f"compare with a label, like `{left.owner}.NAME`"
            self.add("EG1204", f"`{node.op}` compares {what}, not a signal with a label", node, hint)
        elif left.owner != right.owner:
            message = f"`{node.op}` compares a class of `{left.owner}` with one of `{right.owner}`"
            self.add("EG1204", message, node, f"write a label of `{(right if left.label else left).owner}`")

    def arithmetic(self, node: tree.Arithmetic) -> Type | None:
        role = f"what `{node.op}` takes"
        left, right = self.want(node.left, Kind.NUMBER, role), self.want(node.right, Kind.NUMBER, role)
        if node.op == "/" and right is not None and not self.divides(node.right):
            return None
        if left is None or right is None:
            return None
        if node.op in ("+", "-"):
            return Type(Kind.NUMBER, self.same(left, right, f"`{node.op}` takes", "and", node))
        return Type(Kind.NUMBER, _product(left.unit, right.unit, divide=node.op == "/"))

    def same(self, left: Type, right: Type, does: str, joiner: str, node: tree.Node) -> Unit | None:
        """The common unit of two parts; a finding when there is none."""
        if left.unit is not None and right.unit is not None and left.unit != right.unit:
            message = f"{does} {shown(left.unit)} {joiner} {shown(right.unit)}"
            self.add("EG1207", message, node, "units are never converted: bring both to the same one")
        return right.unit if left.unit is None else left.unit

    def divides(self, node: tree.Node) -> bool:
        """Whether `node` is a written-out number other than zero, or a name for one; else after a finding."""
        plain: tree.Node | None = node
        if isinstance(node, tree.Name) and node.name in self.scope.lets:
            plain = self.scope.lets[node.name].node
        if isinstance(plain, tree.Number) and plain.value != 0.0:
            return True
        if isinstance(plain, tree.Number):
            self.add("EG1205", "division by zero", node)
        elif plain is not None:
            hint = "multiply the other side instead"
            self.add("EG1205", "only a number written out may divide", node, hint)
        return False


def _product(left: Unit | None, right: Unit | None, *, divide: bool) -> Unit | None:
    """A bare literal is a plain number as a factor; a product of literals alone is a literal still."""
    if left is None and right is None:
        return None
    return (left or ONE) / (right or ONE) if divide else (left or ONE) * (right or ONE)
