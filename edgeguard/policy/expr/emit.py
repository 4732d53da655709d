"""One checked expression as syntax nodes of Python: conditions, numbers, and the sums whose results must be finite.

Knows locals by name only (`v3`: value of signal 3, `t0`: a sum) and nothing of rules, tables or functions.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from edgeguard.policy.expr import interpreter, tree


class Place(TypedDict):
    """A position in a source text, as syntax nodes want one."""

    lineno: int
    col_offset: int


LOW, HIGH = "LOW", "HIGH"
AT: Place = {"lineno": 1, "col_offset": 0}
"""Where every node stands; given to each as it is made, because going through the tree again takes as long."""
_CHUNK = 32
_COMPARE: Mapping[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq,
}  # fmt: skip
_ARITHMETIC: Mapping[str, type[ast.operator]] = {"+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div}


def load(name: str) -> ast.expr:
    """Read a local."""
    return ast.Name(name, ast.Load(), **AT)


def assign(name: str, value: ast.expr) -> ast.stmt:
    """Set a local."""
    return ast.Assign([ast.Name(name, ast.Store(), **AT)], value, **AT)


def constant(value: float) -> ast.expr:
    """A number or a truth as it is."""
    return ast.Constant(value, **AT)


def every(parts: Sequence[ast.expr]) -> ast.expr:
    """All of one or more conditions."""
    return parts[0] if len(parts) == 1 else ast.BoolOp(ast.And(), list(parts), **AT)


def finite(value: ast.expr) -> ast.expr:
    """`LOW < value < HIGH`: false for infinities and for not-a-number, for which every comparison is false."""
    return ast.Compare(load(LOW), [ast.Lt(), ast.Lt()], [value, load(HIGH)], **AT)


def total(name: str, parts: Sequence[ast.expr]) -> list[ast.stmt]:
    """Statements that add one or more numbers up: finite only when every one of them is. In short pieces, for a long
    sum in one expression would nest as deep as it is long."""
    found: list[ast.stmt] = []
    for at in range(0, len(parts), _CHUNK):
        piece = list(parts[at : at + _CHUNK])
        value = load(name) if at else piece.pop(0)
        for part in piece:
            value = ast.BinOp(value, ast.Add(), part, **AT)
        found.append(assign(name, value))
    return found


@dataclass(slots=True)
class Emitter:
    """Turns trees into expressions. What they need computed before them collects in `pending`, what must be finite in
    `sums`."""

    index: Mapping[str, int]
    """Position of each signal's value."""
    thresholds: Mapping[str, float]
    pending: list[ast.stmt] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    made: int = 0

    def truth(self, node: tree.Node) -> ast.expr:
        """A condition. Its sums have been put into locals before it."""
        if isinstance(node, tree.Bool):
            return constant(node.value)
        if isinstance(node, tree.Flag):
            return ast.Compare(load(f"v{self.index[node.name]}"), [ast.NotEq()], [constant(0.0)], **AT)
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.Not(), self.truth(node.operand), **AT)
        if isinstance(node, tree.Logic):
            op = ast.And() if node.op == "&&" else ast.Or()
            return ast.BoolOp(op, [self.truth(node.left), self.truth(node.right)], **AT)
        if isinstance(node, tree.Conditional):
            parts = (self.truth(node.test), self.truth(node.then), self.truth(node.otherwise))
            return ast.IfExp(*parts, **AT)
        if isinstance(node, tree.Within):
            items = ast.Tuple([constant(item) for item in node.items], ast.Load(), **AT)
            return ast.Compare(self.number(node.operand), [ast.In()], [items], **AT)
        if not isinstance(node, tree.Compare):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        side = self.number if _is_number(node.left) else self.truth
        return ast.Compare(side(node.left), [_COMPARE[node.op]()], [side(node.right)], **AT)

    def number(self, node: tree.Node) -> ast.expr:
        """A number. A sum goes into a local of its own that is checked to be finite.

        One check at the root of a sum is enough: no `+ - *`, negation or division by a finite literal turns an
        infinity or not-a-number back into a finite number.
        """
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.USub(), self.number(node.operand), **AT)
        if not isinstance(node, tree.Arithmetic):
            return self.term(node)
        value = self.known(node)
        if value is not None:
            return constant(value)
        name = f"t{self.made}"
        self.made += 1
        self.pending.append(assign(name, self.term(node)))
        self.sums.append(name)
        return load(name)

    def known(self, node: tree.Node) -> float | None:
        """The value of a sum that reads no signal, so that it is not computed at every step; None of any other."""
        env = {f"calibrated.{name}": value for name, value in self.thresholds.items()}
        return interpreter.number(node, env)

    def term(self, node: tree.Node) -> ast.expr:
        """A number inside of a sum."""
        if isinstance(node, (tree.Number, tree.Label)):
            return constant(node.value)
        if isinstance(node, tree.Name):
            return load(f"v{self.index[node.name]}")
        if isinstance(node, tree.Member):
            return constant(self.thresholds[node.name])
        if isinstance(node, tree.Unary):
            return ast.UnaryOp(ast.USub(), self.term(node.operand), **AT)
        if isinstance(node, tree.Conditional):
            parts = (self.truth(node.test), self.number(node.then), self.number(node.otherwise))
            return ast.IfExp(*parts, **AT)
        if not isinstance(node, tree.Arithmetic):
            raise AssertionError(node)  # noqa: TRY004  # the checker lets nothing else through
        return ast.BinOp(self.term(node.left), _ARITHMETIC[node.op](), self.term(node.right), **AT)


def _is_number(node: tree.Node) -> bool:
    """Whether a checked node gives a number rather than a truth."""
    if isinstance(node, tree.Conditional):
        return _is_number(node.then)
    if isinstance(node, tree.Unary):
        return node.op == "-"
    return isinstance(node, (tree.Number, tree.Name, tree.Member, tree.Label, tree.Arithmetic))
